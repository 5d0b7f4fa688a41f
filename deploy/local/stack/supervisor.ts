import { messageOf } from '../../../pipelines/errors.js';
import { identify, type ProcessIdentity } from '../../../runtime/process-identity.js';
import { type PartName, type PartSpec, STOP_ORDER } from './part-spec.js';
import { type StackState, writeState } from './stack-state.js';
import { SupervisedPart } from './supervised-part.js';

/** Runs the parts of one home and keeps `run/state.json` current. Runs in its own process: see supervisor-main. */
export class Supervisor {
  private readonly parts = new Map<PartName, SupervisedPart>();
  private readonly self: ProcessIdentity;
  private readonly startedAt = new Date().toISOString();
  private readonly waiting = new Set<() => void>();

  constructor(private readonly home: string) {
    const self = identify(process.pid);
    if (!self) throw new Error('the supervisor needs /proc');
    this.self = self;
  }

  /** Starts the parts that are not running; others are left unchanged. */
  add(specs: readonly PartSpec[]): void {
    const fresh = specs.filter(({ name }) => !this.parts.has(name));
    const here = new Set([...this.parts.keys(), ...fresh.map(({ name }) => name)]);
    for (const spec of fresh) {
      // A part that is not in this stack is the user's own and assumed to be up.
      const needs = spec.needs.filter((name) => here.has(name));
      this.parts.set(spec.name, new SupervisedPart(spec, this.home, this.allReady(needs), () => this.changed()));
    }
    this.changed();
  }

  async stop(): Promise<void> {
    for (const names of STOP_ORDER) {
      // A part that fails to stop must not keep the others running.
      await Promise.allSettled(names.map((name) => this.parts.get(name)?.stop()));
    }
  }

  private allReady(names: readonly PartName[]): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        if (!names.every((name) => this.parts.get(name)?.record.state === 'ready')) return;
        this.waiting.delete(check);
        resolve();
      };
      this.waiting.add(check);
      check();
    });
  }

  private changed(): void {
    for (const check of [...this.waiting]) check();
    const records = [...this.parts.values()].map(({ record }) => record);
    const state: StackState = {
      format: 1,
      supervisor: this.self,
      startedAt: this.startedAt,
      ready: records.every(({ state }) => state === 'ready'),
      parts: records,
    };
    try {
      writeState(this.home, state);
    } catch (error) {
      // A full disk must not end the parts; the next change is written again.
      process.stderr.write(`cannot write the state: ${messageOf(error)}\n`);
    }
  }
}
