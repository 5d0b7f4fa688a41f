import type { Json } from '../../pipelines/json.js';

/** Runs code that a model has written, isolated from the worker and from other calls. */
export interface Sandbox {
  readonly languages: readonly string[];
  /**
   * Runs one program; nothing of it is left afterwards. What the program does wrong, its limits included, is the outcome's
   * `error`. Throws the signal's reason within a second of its abort, `SANDBOX_UNAVAILABLE`, and `SANDBOX_FAILED`.
   */
  run(program: Program): Promise<Outcome>;
  close(): Promise<void>;
}

export interface Program {
  readonly language: string;
  readonly code: string;
  /** What the program reads. */
  readonly files: readonly SandboxFile[];
  readonly limits: SandboxLimits;
  readonly tenant: string;
  /** The same in every attempt of a call, and different for every other call. */
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
}

export interface SandboxFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface SandboxLimits {
  /** Longest time that the program runs, in milliseconds. */
  readonly timeMs: number;
  readonly memoryBytes: number;
  /** Most characters of the result, and of what is printed. */
  readonly outputCharacters: number;
  /** Most bytes of the files that the program makes, all together; 0: it makes none. */
  readonly fileBytes: number;
}

export interface Outcome {
  /** Absent: the program has none. */
  readonly result?: Json;
  readonly stdout: string;
  /** What the program has made. */
  readonly files: readonly SandboxFile[];
  /** Why the program ended early, for the one who has written it. */
  readonly error?: string;
}

/** In characters: a message and the beginning of a stack. */
export const LONGEST_ERROR = 4_000;

export const tooLate = (ms: number): string =>
  `the code ran longer than ${ms} ms and was stopped; a loop may not end, or there is too much work for one call`;

export const tooMuchMemory = (bytes: number): string =>
  `the code needs more memory than ${bytes} bytes; work on smaller parts`;

export const tooMuchOutput = (what: string, most: number): string =>
  `${what} has more than ${most} characters; return or print less`;
