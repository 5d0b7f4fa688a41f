import { serverEvents } from '../../client/sse.js';
import { EVENTS_OF } from './pipelines.js';

/** Most errors of a kind to print; their number is reported in any case. */
const MOST_DETAILS = 10;

/** Observations of all clients. */
export class Tally {
  events = 0;
  /** Answers with an error status, broken connections, runs that did not succeed. */
  errors = 0;
  /** Events that a client missed. */
  lost = 0;
  /** Events that a client got twice, or out of order. */
  repeated = 0;
  /** Streams that are open now, and the most at once. */
  open = 0;
  mostOpen = 0;
  readonly details: string[] = [];

  /** Follows one answer's events to its end. `onEvent` is called with each event, named as in `EVENTS_OF`. */
  async follow(
    pipeline: keyof typeof EVENTS_OF,
    response: Response,
    onEvent: (event: string) => void = () => undefined,
  ): Promise<void> {
    if (!response.ok || response.body === null) throw new Error(`${response.status}: ${await response.text()}`);
    this.open++;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    const ids = new Set<string>();
    const seen: string[] = [];
    try {
      for await (const { id, type, data } of serverEvents(response.body)) {
        this.events++;
        const { stage, status } = JSON.parse(data) as { stage?: string; status?: string };
        if (type === 'error' || (type === 'run' && status !== 'succeeded')) this.wrong('errors', `${type}: ${data}`);
        if (ids.has(id)) this.wrong('repeated', `${pipeline}: ${id}`);
        ids.add(id);
        const event = stage === undefined ? type : `${type} ${stage}`;
        seen.push(event);
        onEvent(event);
      }
    } finally {
      this.open--;
    }
    this.#judge(pipeline, seen);
  }

  #judge(pipeline: keyof typeof EVENTS_OF, seen: readonly string[]): void {
    const expected = EVENTS_OF[pipeline];
    const missing = expected.filter((event) => !seen.includes(event));
    for (const event of missing) this.wrong('lost', `${pipeline}: ${event} of ${seen.join(', ')}`);
    if (missing.length === 0 && seen.join() !== expected.join()) this.wrong('repeated', `${pipeline}: ${seen.join()}`);
  }

  wrong(kind: 'errors' | 'lost' | 'repeated', what: string): void {
    this[kind]++;
    if (this[kind] <= MOST_DETAILS) this.details.push(`${kind}: ${what.slice(0, 500)}`);
  }
}
