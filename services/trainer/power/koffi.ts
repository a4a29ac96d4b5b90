/** The part of koffi that is used, with types of our own; loaded when it is needed, so that a box without it still runs. */

export interface ForeignLibrary {
  func(prototype: string): unknown;
  unload(): void;
}

export interface Koffi {
  load(path: string): ForeignLibrary;
}

/** Null where koffi has no binary for this platform. */
export async function loadKoffi(): Promise<Koffi | null> {
  try {
    const module = (await import('koffi')) as unknown as { readonly default: Koffi };
    return module.default;
  } catch {
    return null;
  }
}
