/** Flags of `up`, as commander hands them over. */
export interface UpFlags {
  readonly set: readonly string[];
  readonly trainers: number;
  readonly slotsPerDevice: number;
  readonly listen: string;
  readonly data?: string;
  readonly token?: string;
  readonly natsPort: number;
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly natsServer?: string;
  readonly lostAfter: number;
  readonly trainerTtl: number;
  readonly stopGrace: number;
  readonly warm: number;
  readonly restart: 'always' | 'never';
  readonly keep?: boolean;
  readonly new?: boolean;
  readonly newLedger?: boolean;
  readonly smoke?: boolean;
  readonly reportDir: string;
  readonly estimateWatts?: number;
  readonly allowCommand: readonly string[];
  readonly modules?: string;
  readonly logLevel: string;
  readonly json?: boolean;
}
