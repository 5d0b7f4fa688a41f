import { isJsonObject } from '../../pipelines/json.js';
import type { Decision, GivenDecision, Wait } from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';

/** Most decisions that a new history is told of. Those that their waits have not taken yet are the latest. */
const MOST_CARRIED = 256;
/** Longest name of who decides: it is kept in the history. */
const LONGEST_NAME = 200;
/** A tenant's user, as a proxy names it, or a key's id. */
const LONGEST_ACTOR = 1_000;

/**
 * What a run waits for people to decide, and what they have decided. A decision is for the one wait whose nonce it has; the
 * same decision again is the same answer, since whoever sent it may not have heard the first.
 */
export class Waits {
  readonly #open = new Map<string, { readonly wait: Wait; readonly wake: () => void }>();
  readonly #decided: Map<string, Decision>;
  /** Ended without a person's decision. */
  readonly #over = new Set<string>();

  constructor(decided: Readonly<Record<string, Decision>> = {}) {
    this.#decided = new Map(Object.entries(decided));
  }

  /** What nobody has decided yet. */
  get open(): readonly Wait[] {
    return [...this.#open.values()].map(({ wait }) => wait).filter(({ nonce }) => !this.#decided.has(nonce));
  }

  get carried(): Readonly<Record<string, Decision>> {
    return Object.fromEntries([...this.#decided].slice(-MOST_CARRIED));
  }

  /** @param wake called when it is decided */
  begin(wait: Wait, wake: () => void = () => undefined): void {
    this.#open.set(wait.nonce, { wait, wake });
  }

  decisionOn(nonce: string): Decision | undefined {
    return this.#decided.get(nonce);
  }

  /** Nothing can be decided any more; the decision that came before, if one did. */
  end(nonce: string): Decision | undefined {
    this.#open.delete(nonce);
    const decision = this.#decided.get(nonce);
    if (!decision) this.#over.add(nonce);
    return decision;
  }

  /**
   * Throws what is wrong with a decision: `INVALID_INPUT`, `NOT_WAITING` where the run knows no such wait, `ALREADY_DECIDED`
   * where the wait has ended in another way.
   */
  check(given: unknown): asserts given is GivenDecision {
    const wrong = misfit(given);
    if (wrong) throw new StageError('INVALID_INPUT', wrong.message, { fields: [wrong] });
    const { nonce, path } = given as GivenDecision;
    const before = this.#decided.get(nonce);
    if (before) {
      if (same(before, decisionOf(given as GivenDecision))) return;
      const what = before.approved ? 'approved' : 'rejected';
      throw new StageError('ALREADY_DECIDED', `it has been ${what} by ${before.by}; this decision has no effect`);
    }
    const open = this.#open.get(nonce)?.wait;
    if (open && (path === undefined || path === open.path)) return;
    if (this.#over.has(nonce)) {
      const message = 'this wait is closed: its timeout has passed, or the run continued without it';
      throw new StageError('ALREADY_DECIDED', message);
    }
    const paths = this.open.map(({ path }) => path).join(', ');
    const those = paths === '' ? '' : `; what waits is ${paths}`;
    throw new StageError('NOT_WAITING', `nothing of the run waits under the nonce "${nonce}"${those}`);
  }

  /** Takes a decision, or throws as `check` does. */
  decide(given: unknown): Decision {
    this.check(given);
    const { nonce } = given;
    const decision = this.#decided.get(nonce) ?? decisionOf(given);
    if (!this.#decided.has(nonce)) {
      this.#decided.set(nonce, decision);
      this.#open.get(nonce)?.wake();
    }
    return decision;
  }
}

const decisionOf = ({ approved, by = 'person', actor }: GivenDecision): Decision => ({
  approved,
  by,
  ...(actor !== undefined && { actor }),
});

const same = (a: Decision, b: Decision): boolean => a.approved === b.approved && a.by === b.by && a.actor === b.actor;

/** What comes by Temporal's own command line nobody has checked. */
function misfit(given: unknown): { readonly field: string; readonly message: string } | undefined {
  if (!isJsonObject(given)) return { field: 'decision', message: 'a decision is an object with nonce and approved' };
  const { nonce, approved, by = '-', actor = '-' } = given;
  if (typeof nonce !== 'string' || nonce === '')
    return { field: 'nonce', message: 'nonce must be that of a wait: the run lists what it waits for' };
  if (typeof approved !== 'boolean') return { field: 'approved', message: 'approved must be true or false' };
  if (typeof by !== 'string' || by === '' || by.length > LONGEST_NAME || by === 'timeout')
    return { field: 'by', message: `by must be a name of up to ${LONGEST_NAME} characters, and not "timeout"` };
  if (typeof actor !== 'string' || actor.length > LONGEST_ACTOR)
    return { field: 'actor', message: `actor must be a name of up to ${LONGEST_ACTOR} characters` };
  return undefined;
}
