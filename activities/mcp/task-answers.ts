import type { JsonObject } from '../../pipelines/json.js';
import type { AskedQuestions, Elicited, Question } from '../../pipelines/run/index.js';
import type { GoesOn } from './goes-on.js';
import { type Ask, questionsIn } from './question.js';

interface ToTask {
  /** What is sent to the task now, by its keys. */
  readonly responses: JsonObject;
  /** What nobody has answered yet: it is asked after `responses` are sent. */
  readonly asks?: AskedQuestions;
}

/** Answers what a task asks: with what earlier parts of the call have brought, or by asking while the call is open. */
export class TaskAnswers {
  readonly #own: { readonly task: string; readonly key: string; readonly ask?: Ask | undefined };
  readonly #answers: Map<string, Elicited>;
  /** Keys that earlier parts of the call have answered: a task may still list them for a moment. */
  readonly #before: ReadonlySet<string>;

  /** @param own.ask asks while the call is open. Absent: the call ends with its questions */
  constructor(own: { task: string; key: string; ask?: Ask | undefined }, goesOn?: GoesOn) {
    this.#own = own;
    this.#answers = new Map(Object.entries(goesOn?.answers ?? {}));
    this.#before = new Set(goesOn?.answered);
  }

  /** Throws `TOOL_FAILED` for requests that a person cannot be asked. */
  async to(requests: unknown): Promise<ToTask> {
    const { task, key, ask } = this.#own;
    const pending = Object.entries(questionsIn(requests)).filter(([name]) => !this.#before.has(name));
    let open = pending.filter(([name]) => !this.#answers.has(name));
    if (ask && open.length > 0) {
      const given = await Promise.all(open.map(async ([name, question]) => [name, await ask(question)] as const));
      for (const [name, answer] of given) this.#answers.set(name, answer);
      open = [];
    }
    const known = pending.filter(([name]) => this.#answers.has(name));
    const responses = Object.fromEntries(
      known.map(([name]) => [name, this.#answers.get(name)]),
    ) as unknown as JsonObject;
    if (open.length === 0) return { responses };
    const answered = [...this.#before, ...this.#answers.keys()];
    return { responses, asks: asksOf(open, { key, task, answered }) };
  }
}

const asksOf = (open: readonly (readonly [string, Question])[], goesOn: JsonObject): AskedQuestions => ({
  questions: Object.fromEntries(open),
  goesOn,
  safe: true,
});
