import { canonicalJson, isJsonObject, type Json } from '../../pipelines/json.js';
import { bytesOf } from '../../pipelines/json-limits.js';
import type { Decision, GivenDecision, Wait } from '../../pipelines/run/index.js';
import { misfitOfContent } from '../../pipelines/run/question-content.js';
import { StageError } from '../../pipelines/run/stage-error.js';

/**
 * Maximum number of decisions that a new history begins with, and of their bytes. Those that their waits have not taken are all among them: when these
 * have so many bytes, further ones are refused.
 */
const MOST_CARRIED = { count: 256, bytes: 500_000 };
/** Maximum length of the name given with a decision, which is kept in the history. */
const LONGEST_NAME = 200;
/** Maximum length of a reason, in characters; the model is given it. */
const LONGEST_REASON = 2_000;
/** Maximum length of changed arguments, and of the content of an answer, in characters of their JSON. */
const LONGEST_ARGUMENTS = 16_000;
/** Maximum length of an actor: a tenant's user, as named by a proxy or a token, or a key's id. */
const LONGEST_ACTOR = 1_000;

/**
 * The waits of a run and the decisions on them. A decision applies only to the wait with its nonce. Repeating a
 * decision yields the same response, because the sender may not have received the first one.
 */
export class Waits {
  /** `left`: the run has stopped for a new history, in which the wait goes on. */
  readonly #open = new Map<string, { readonly wait: Wait; readonly wake: () => void; readonly left?: true }>();
  readonly #decided: Map<string, Decision>;
  /** Waits that ended without a person's decision. */
  readonly #over = new Set<string>();

  constructor(decided: Readonly<Record<string, Decision>> = {}) {
    this.#decided = new Map(Object.entries(decided));
  }

  /** Undecided waits. */
  get open(): readonly Wait[] {
    return [...this.#open.values()].map(({ wait }) => wait).filter(({ nonce }) => !this.#decided.has(nonce));
  }

  /** What a new history begins with: all decisions that their waits have not taken, and before them the latest of the others. */
  get carried(): Readonly<Record<string, Decision>> {
    const all = [...this.#decided];
    const carried = all.filter(([nonce]) => this.#open.has(nonce));
    const taken = all.filter(([nonce]) => !this.#open.has(nonce));
    let bytes = bytesOfAll(carried);
    for (const [nonce, decision] of taken.reverse()) {
      bytes += bytesOf({ [nonce]: decision });
      if (bytes > MOST_CARRIED.bytes || carried.length >= MOST_CARRIED.count) break;
      carried.unshift([nonce, decision]);
    }
    return Object.fromEntries(carried);
  }

  /** The run has stopped for a new history: a decision on the wait is for that one. */
  leave(nonce: string): void {
    const open = this.#open.get(nonce);
    if (open) this.#open.set(nonce, { ...open, left: true });
  }

  /** @param wake called when the wait is decided */
  begin(wait: Wait, wake: () => void = () => undefined): void {
    this.#open.set(wait.nonce, { wait, wake });
  }

  decisionOn(nonce: string): Decision | undefined {
    return this.#decided.get(nonce);
  }

  /** Closes a wait to decisions; returns the one made before, if any. */
  end(nonce: string): Decision | undefined {
    this.#open.delete(nonce);
    const decision = this.#decided.get(nonce);
    if (!decision) this.#over.add(nonce);
    return decision;
  }

  /**
   * Throws for an invalid decision: `INVALID_INPUT`, `NOT_WAITING` if the run has no such wait, `ALREADY_DECIDED` if
   * the wait ended with a different decision or without one.
   */
  check(given: unknown): asserts given is GivenDecision {
    const wrong = misfit(given);
    if (wrong) throw new StageError('INVALID_INPUT', wrong.message, { fields: [wrong] });
    const { nonce, path } = given as GivenDecision;
    const before = this.#decided.get(nonce);
    if (before) {
      if (same(before, decisionOf(given as GivenDecision))) return;
      const what = before.approved ? 'approved' : 'rejected';
      throw new StageError(
        'ALREADY_DECIDED',
        `the wait was already ${what} by ${before.by}; this decision has no effect`,
      );
    }
    const open = this.#open.get(nonce)?.wait;
    const { arguments: edited, scope } = given as GivenDecision;
    const covers = scope === 'run' || scope === 'session';
    if (open) checkAnswer(open, given as GivenDecision);
    if (open && !open.call && (edited !== undefined || covers)) {
      const field = edited === undefined ? 'scope' : 'arguments';
      const message = `${field}: the wait is not about a call of a tool`;
      throw new StageError('INVALID_INPUT', message, { fields: [{ field, message }] });
    }
    if (open && scope === 'session' && open.session === undefined) {
      const message = 'scope: the agent of this call is in no session';
      throw new StageError('INVALID_INPUT', message, { fields: [{ field: 'scope', message }] });
    }
    if (open && (path === undefined || path === open.path)) return;
    if (this.#over.has(nonce)) {
      const message = 'this wait is closed: its timeout has passed, or the run continued without it';
      throw new StageError('ALREADY_DECIDED', message);
    }
    const paths = this.open.map(({ path }) => path).join(', ');
    const those = paths === '' ? '' : `; open waits: ${paths}`;
    throw new StageError('NOT_WAITING', `the run has no open wait with the nonce "${nonce}"${those}`);
  }

  /**
   * Throws like `check`, and `RATE_LIMITED` if the next history has no room for one more. For the validator alone: a decision that it has accepted must be
   * applied, and Temporal forgets one that it has refused, so the same one can be sent again.
   */
  admit(given: unknown): void {
    this.check(given);
    if (this.#decided.has(given.nonce) || this.#open.get(given.nonce)?.left !== true) return;
    const carried = [...this.#decided].filter(([nonce]) => this.#open.has(nonce));
    if (bytesOfAll(carried) + bytesOf({ [given.nonce]: decisionOf(given) }) <= MOST_CARRIED.bytes) return;
    const message =
      'the run has stopped for a new history, which has no room for more decisions at its start; send the same one again once the run goes on';
    throw new StageError('RATE_LIMITED', message);
  }

  /** Applies a decision; throws like `check`. */
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

const bytesOfAll = (decisions: readonly (readonly [string, Decision])[]): number =>
  decisions.reduce((sum, [nonce, decision]) => sum + bytesOf({ [nonce]: decision }), 0);

const decisionOf = (given: GivenDecision): Decision => {
  const { approved, by = 'person', actor, reason, arguments: edited, content, scope } = given;
  return {
    approved,
    by,
    ...(actor !== undefined && { actor }),
    ...(reason !== undefined && { reason }),
    ...(edited !== undefined && { arguments: edited }),
    ...(content !== undefined && { content }),
    ...((scope === 'run' || scope === 'session') && { scope }),
  };
};

const same = (a: Decision, b: Decision): boolean =>
  canonicalJson(a as unknown as Json) === canonicalJson(b as unknown as Json);

/** Throws `INVALID_INPUT` if an approval is no answer to the wait's question: of a field of its form, `content.name`. */
function checkAnswer({ question }: Wait, { approved, content }: GivenDecision): void {
  const refused = (field: string, why: string) =>
    new StageError('INVALID_INPUT', `${field}: ${why}`, { fields: [{ field, message: `${field}: ${why}` }] });
  const schema = question?.schema;
  if (schema === undefined && content !== undefined) {
    const why = question ? 'a question that gives an address has no fields' : 'the wait is not a question';
    throw refused('content', why);
  }
  if (schema === undefined || !approved) return;
  const wrong = misfitOfContent(schema, content ?? {});
  if (wrong) throw new StageError('INVALID_INPUT', wrong.message, { fields: [wrong] });
}

/** Validates a decision: one sent with Temporal's command line is unchecked. */
function misfit(given: unknown): { readonly field: string; readonly message: string } | undefined {
  if (!isJsonObject(given)) return { field: 'decision', message: 'a decision is an object with nonce and approved' };
  const {
    nonce,
    approved,
    by = '-',
    actor = '-',
    reason = '',
    arguments: edited = {},
    content = {},
    scope = 'call',
  } = given;
  if (typeof nonce !== 'string' || nonce === '')
    return { field: 'nonce', message: 'nonce must be that of a wait; the run lists its waits' };
  if (typeof approved !== 'boolean') return { field: 'approved', message: 'approved must be true or false' };
  if (typeof by !== 'string' || by === '' || by.length > LONGEST_NAME || by === 'timeout')
    return { field: 'by', message: `by must be a name of up to ${LONGEST_NAME} characters, and not "timeout"` };
  if (typeof actor !== 'string' || actor.length > LONGEST_ACTOR)
    return { field: 'actor', message: `actor must be a name of up to ${LONGEST_ACTOR} characters` };
  if (typeof reason !== 'string' || reason.length > LONGEST_REASON)
    return { field: 'reason', message: `reason must be a text of up to ${LONGEST_REASON} characters` };
  if (!isJsonObject(edited) || canonicalJson(edited).length > LONGEST_ARGUMENTS)
    return { field: 'arguments', message: `arguments must be an object of up to ${LONGEST_ARGUMENTS} characters` };
  if (!isJsonObject(content) || canonicalJson(content).length > LONGEST_ARGUMENTS)
    return { field: 'content', message: `content must be an object of up to ${LONGEST_ARGUMENTS} characters` };
  if (scope !== 'call' && scope !== 'run' && scope !== 'session')
    return { field: 'scope', message: 'scope must be "call", "run" or "session"' };
  if (!approved && (given.arguments !== undefined || given.content !== undefined || scope !== 'call'))
    return { field: 'approved', message: 'arguments, content, and a scope beyond the call, are for what is approved' };
  return undefined;
}
