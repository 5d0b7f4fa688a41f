import type { RunEvent } from '../../pipelines/run/index.js';

/** A log of events for a gateway: a run tells its followers those that the test has set by then. */
export const toldEvents = (events: () => Iterable<RunEvent>) => ({
  async *follow() {
    let i = 0;
    for (const event of events()) yield { id: `1-${i++}`, event, json: JSON.stringify(event) };
  },
});
