/** What surrounds a command: where it runs, what must be there, what it is wrapped in, how it is heard. A format, as `spec.ts`. */

/** A file that a box must have. */
export interface RequiredFile {
  /** On the box; relative: seen from the folder in which its trainer was started. */
  readonly path: string;
  /** Of its content, hexadecimal; null: it must only be there. */
  readonly sha256: string | null;
}

export interface TensorboardSpec {
  /** Folder of the event files, seen from where the program runs. */
  readonly folder: string;
  /** Tag by metric. A tag of a run in a folder below is `RUN/TAG`. */
  readonly metrics: Readonly<Record<string, string>>;
  /** What a step is: an epoch, counted from 0 or from 1; `count`: each value of the objective is an epoch. */
  readonly epochs: 'from_0' | 'from_1' | 'count';
}

/** From what the epochs of a program are read that does not report itself. */
export type CollectSpec =
  { readonly regex: string } | { readonly kerasCsv: string } | { readonly tensorboard: TensorboardSpec };

/** Keys that stand beside a `command`; absent where the file has none. */
export interface ProgramSetup {
  /** Folder in which it runs, a template. */
  readonly workdir?: string;
  /** Words around the command, templates; one of them is `{command}`. */
  readonly wrap?: readonly string[];
  readonly requires?: readonly RequiredFile[];
  readonly collect?: CollectSpec;
}

/** Where the code stood in git when it was packed. */
export interface GitState {
  readonly commit: string;
  /** Empty when no branch was checked out. */
  readonly branch: string;
  /** Something in the folder differs from the commit, or is not known to it. */
  readonly isDirty: boolean;
  /** Of the folder, against the commit; cut to its beginning when it is long. */
  readonly diff: string;
  /** Bytes of the whole diff. */
  readonly diffBytes: number;
}

/** The folder that a sweep ships to the boxes. */
export interface CodeSpec {
  /** As in the file. */
  readonly folder: string;
  /** Of the packed folder, hexadecimal; empty in a file's spec, filled in when the sweep is submitted. */
  readonly sha256: string;
  readonly bytes?: number;
  readonly files?: number;
  readonly git?: GitState;
}

/** The keys of it that are there; null for none. */
export function setupOf({ workdir, wrap, requires, collect }: ProgramSetup): ProgramSetup | null {
  const setup = {
    ...(workdir === undefined ? {} : { workdir }),
    ...(wrap === undefined ? {} : { wrap }),
    ...(requires === undefined ? {} : { requires }),
    ...(collect === undefined ? {} : { collect }),
  };
  return Object.keys(setup).length === 0 ? null : setup;
}
