import type { SandboxFile, SandboxLimits } from '../sandbox.js';

/** QuickJS as compiled WebAssembly, which threads share. Node's types lack its class. */
export type Engine = object;

/** What a thread is started with. */
export interface Order {
  readonly engine: Engine;
  readonly code: string;
  readonly files: readonly SandboxFile[];
  readonly limits: SandboxLimits;
}

/** What a thread sends: that the code begins, and at last what it has given. */
export type Message = 'begun' | Reply;

export interface Reply {
  /** The result as JSON. Absent: there is none. */
  readonly json?: string;
  readonly stdout: string;
  readonly files: readonly SandboxFile[];
  readonly error?: string;
}
