/**
 * What the trainer service and a slot's supervisor say to each other over the slot's Unix socket: one JSON object a
 * line. The supervisor serves one service at a time: a newer connection with the right token replaces an older one.
 */
import type { StopMode } from '../protocol/runner.js';

/** slot.json: how to reach a slot's supervisor. Readable by its owner only. */
export interface SlotFile {
  /** 1: a supervisor of version 0.1, which runs attempts that are laid out as that version did. */
  readonly version: 1 | 2;
  readonly socketPath: string;
  /** Whoever knows it may command the supervisor. */
  readonly token: string;
  /** 0 until the supervisor has written it. */
  readonly pid: number;
  readonly startTicks: number;
  readonly bootId: string;
}

export type ServiceMessage =
  | {
      readonly type: 'hello';
      readonly token: string;
      /** Without a word from a service for so long, the supervisor ends its attempt after a checkpoint and exits. */
      readonly lostAfterMs: number;
      /** Time between the stop request and SIGTERM. */
      readonly stopGraceMs: number;
    }
  | { readonly type: 'alive' }
  | { readonly type: 'start'; readonly attemptDir: string }
  | {
      readonly type: 'stop';
      readonly attemptDir: string;
      readonly mode: StopMode;
      /** How the end is told when the runner obeys: the coordinator asked (`stopped`) or the box (`preempted`). */
      readonly endAs: 'stopped' | 'preempted';
    }
  /** Let the runner that waits go: its device is wanted by another slot's attempt. Answered by `cooled`. */
  | { readonly type: 'cool' }
  /** Exit, unless an attempt runs. */
  | { readonly type: 'retire' };

export type SupervisorMessage =
  /** Answer to `hello`: the attempt that holds the slot, or null. */
  | { readonly type: 'state'; readonly pid: number; readonly attemptDir: string | null }
  | { readonly type: 'refused'; readonly attemptDir: string; readonly reason: string }
  /** No runner waits any more. */
  | { readonly type: 'cooled' }
  /** The spool has grown. */
  | { readonly type: 'spooled'; readonly attemptDir: string }
  /** Over: every process is gone, the end stands in the spool, the slot is free. */
  | { readonly type: 'ended'; readonly attemptDir: string };
