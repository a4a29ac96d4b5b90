/** What the tests use of set-up's plain JavaScript. */
declare module '*/setup/lib/lock.mjs' {
  export function withLock<T>(
    file: string,
    work: () => Promise<T>,
    options?: { onWait?: (pid: number | null) => void },
  ): Promise<T>;
  export function startedAt(pid: number): string | null;
  export function here(): string;
}
declare module '*/setup/lib/store.mjs' {
  export function ensurePiece(piece: {
    name: string;
    folder: string;
    make: (fresh: string, scratch: string) => Promise<void>;
    spaceBytes?: number;
    verify?: boolean;
  }): Promise<string>;
  export function checkPiece(
    folder: string,
    options?: { full?: boolean },
  ): Promise<'complete' | 'missing' | { damage: string }>;
}
declare module '*/setup/lib/layout.mjs' {
  export function engineFolder(gpu: boolean): string | null;
  export function libtensorflowFolder(gpu: boolean): string | null;
  export function natsServerFolder(): string;
  export function cifar10Folder(): string;
  export function debianFolder(name: string): string;
  export const MANIFEST: string;
}
declare module '*/setup/lib/wheels.mjs' {
  export function platformFlags(file: string): string[];
}
declare module '*/setup/pieces/cifar10.mjs' {
  export function toRecords(
    sheet: { width: number; height: number; data: Uint8Array },
    labels: readonly number[],
  ): Uint8Array;
}
declare module '*/setup/pieces/nats.mjs' {
  export function isAtLeast(version: string, minimum: string): boolean;
}
declare module '*/setup/test.mjs' {
  export function verdict(runs: readonly { code: number; report: string | null }[]): {
    lines: string[];
    exitCode: number;
  };
}
declare module '*/setup/pieces/engine.mjs' {
  export function linkCudaLibraries(folder: string): void;
}
