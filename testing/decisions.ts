import { type Duration, durationMs } from '../pipelines/duration.js';
import { messageOf } from '../pipelines/errors.js';
import type { JsonObject } from '../pipelines/json.js';
import type { Wait } from '../pipelines/run/index.js';
import { Waits } from '../workflows/interpreter/index.js';
import { TestError } from './test-error.js';
import type { VirtualClock } from './virtual-clock.js';

/** A person's decision, or `'nobody'`: the wait's timeout then applies. */
export type Decided =
  | 'nobody'
  | {
      readonly approved: boolean;
      /** Default `person`. */
      readonly by?: string;
      /** The reason; the model gets it. */
      readonly reason?: string;
      /** For an approved tool call: arguments that replace the model's. */
      readonly arguments?: JsonObject;
      /** For a question that is approved: the fields of its form. */
      readonly content?: JsonObject;
      /** `run`: covers later calls of the tool in this run too; `session`: those in all runs of the session. Default: this call only. */
      readonly scope?: 'call' | 'run' | 'session';
      /** Time until the decision, on the test's clock. Default: none. */
      readonly after?: Duration;
    };

/** The same decision on every wait, or a function of the wait: what it is about, and the call of a tool. */
export type DecisionScript = Decided | ((wait: Wait) => Decided);

interface Parts {
  readonly clock: VirtualClock;
  readonly signal: AbortSignal;
  readonly onMistake: (mistake: TestError) => void;
}

/** The waits of a test's run, with the people who decide. */
export class ScriptedWaits extends Waits {
  readonly #decisions: Readonly<Record<string, DecisionScript>>;
  readonly #parts: Parts;

  constructor(decisions: Readonly<Record<string, DecisionScript>>, parts: Parts) {
    super();
    this.#decisions = decisions;
    this.#parts = parts;
  }

  override begin(wait: Wait, wake?: () => void): void {
    super.begin(wait, wake);
    const { clock, signal, onMistake } = this.#parts;
    const script = this.#scriptOf(wait);
    if (script === undefined) onMistake(undecided(wait));
    const decided = typeof script === 'function' ? script(wait) : script;
    if (decided === undefined || decided === 'nobody') return;
    const { after, ...decision } = decided;
    const decide = () => {
      // The run may have gone on without it.
      if (!this.open.some(({ nonce }) => nonce === wait.nonce)) return;
      try {
        this.decide({ ...decision, nonce: wait.nonce });
      } catch (error) {
        onMistake(new TestError(`the decision on "${wait.path}" is refused: ${messageOf(error)}`));
      }
    };
    const afterMs = after === undefined ? 0 : durationMs(after, 'decisions.after');
    clock.sleep(afterMs, signal).then(decide, () => undefined);
  }

  #scriptOf({ path, stage, call }: Wait): DecisionScript | undefined {
    const names = [path, path.replace(/:[0-9a-f]{12}$/, ''), ...(call ? [call.tool] : []), stage];
    const name = names.find((each) => Object.hasOwn(this.#decisions, each));
    return name === undefined ? undefined : this.#decisions[name];
  }
}

function undecided({ path, stage, call, subject }: Wait): TestError {
  const what = call ? `the call of the tool "${call.tool}"` : `the stage "${path}"`;
  const name = call?.tool ?? stage;
  return new TestError(
    `${what} waits for a person (${subject}) and has no decision; ` +
      `add decisions: { '${name}': { approved: true } }, or 'nobody' for the timeout`,
  );
}
