/** Types of `locate.mjs`: pure look-ups, nothing is installed. */
export function projectRoot(): string;
export function isClone(root?: string): boolean;
export function cacheHome(env?: NodeJS.ProcessEnv): string;
export function gpuWanted(env?: NodeJS.ProcessEnv): boolean;
/** For `createRequire(enginePath() + '/')('@tensorflow/tfjs-node-gpu')`; null when set-up has not run. */
export function enginePath(options?: { gpu?: boolean }): string | null;
/** For `createRequire(wasmPath() + '/')('@tensorflow/tfjs-backend-wasm')`; null when set-up has not run. */
export function wasmPath(): string | null;
/** What `WATTSWEEP_WASM` says; null where it says nothing. */
export function wasmWanted(env?: NodeJS.ProcessEnv): boolean | null;
/** Holds data_batch_1.bin .. data_batch_5.bin and test_batch.bin. */
export function cifar10Dir(): string | null;
export function natsServerPath(): string | null;
export function prometheusPath(): string | null;
export function promtoolPath(): string | null;
export function chromiumPath(): string | null;
export function onPath(name: string, env?: NodeJS.ProcessEnv): string | null;
