/**
 * What a recipe declares about itself: parameters and metrics. Each recipe is declared once, beside its code in the
 * trainer's runner; `npm run gen` writes the declarations into `recipes.json`, which everybody else reads.
 */
import declared from './gen/recipes.json' with { type: 'json' };

export interface ParameterDescriptor {
  readonly type: 'integer' | 'number' | 'string' | 'boolean' | 'object' | 'list';
  readonly description: string;
  readonly default: unknown;
  /** Inclusive bounds of a number. */
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly (string | number)[];
  readonly unit?: string;
}

export interface MetricDescriptor {
  readonly name: string;
  readonly description: string;
  /** The direction that is better. */
  readonly goal: 'maximize' | 'minimize';
  readonly unit?: string;
  /** Measured once, with the report of `max_epochs`: no objective. */
  readonly lastEpochOnly?: true;
  /** Reported with some settings only, or for looking on: no objective. */
  readonly noObjective?: true;
}

export interface RecipeDescriptor {
  readonly name: string;
  readonly description: string;
  readonly parameters: Readonly<Record<string, ParameterDescriptor>>;
  /** Metrics that every epoch report carries, unless they say otherwise. */
  readonly metrics: readonly MetricDescriptor[];
  /**
   * Set for a recipe that computes nothing here and states the energy of its epochs itself: the method under which
   * that energy is booked. The power meter is not asked about its attempts. Without it a runner's word on energy is
   * not heard.
   */
  readonly energyMethod?: 'replay';
}

/** The recipes that ship with Wattsweep, by name. */
export const recipes: ReadonlyMap<string, RecipeDescriptor> = new Map(
  (declared as readonly RecipeDescriptor[]).map((recipe) => [recipe.name, recipe]),
);
