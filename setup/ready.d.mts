/** Types of `ready.mjs`. */
export type Need = 'modules' | 'build' | 'engine' | 'nats' | 'cifar10' | 'prometheus' | 'chromium';
export const RUN_NEEDS: readonly Need[];
export const TEST_NEEDS: readonly Need[];
/** Makes sure that these pieces are there and says where; throws an error with `code`, `advice` and `report` else. */
export function ready(options: {
  need: readonly Need[];
  gpu?: boolean;
  natsServer?: string;
  verify?: boolean;
  quiet?: boolean;
}): Promise<Partial<Record<Need, unknown>>>;
