import { CancelledFailure } from '@temporalio/common';
import { expect, it } from 'vitest';
import { MillraceError } from '../../../../pipelines/errors.js';
import { ENTRY_KIND } from '../../../../pipelines/run/index.js';
import { activity, describing } from './attempt-scene.js';

/* A call in an item of a stream whose first attempt could not report its end: its input is known when the entry is read. */

const OUTCOME = { output: { receipt: 1 } };
const entry = { path: 'said', of: 'sentences', number: 0, digest: 'd' };
const call = { kind: ENTRY_KIND, held: { kind: 'http', entries: { 'all/item': entry } }, retry: { attempts: 2 } };

interface Second {
  /** What the record answers. */
  readonly find?: () => Promise<unknown>;
  /** Of the first attempt's heartbeats. */
  readonly note?: object;
  readonly signal?: AbortSignal;
}

/** The second attempt, how often it has made the call, and what it has asked and told. */
function second({ find = async () => OUTCOME, note = {}, signal = new AbortController().signal }: Second) {
  const asked: unknown[] = [];
  const told: object[] = [];
  const made: unknown[] = [];
  const ended = activity({
    run: async (_, { kind }) => made.push(kind),
    call,
    input: { order: { $ref: 'all/item' } },
    entries: new Map([['all/item', 'Tea.']]),
    earlier: async (input, { kind }) => {
      asked.push([kind, input]);
      return await find();
    },
    info: {
      ...{ attempt: 2, activityId: '1', scheduledTimestampMs: Date.now() },
      heartbeatDetails: { waits: 0, waitedMs: 0, lost: { losses: 0, ...note } },
    },
    more: {
      client: describing(async () => ({ raw: { pendingActivities: [] } })),
      cancellationSignal: signal,
      heartbeat: (details: object) => void told.push(details),
    },
  });
  return { ended, asked, told, made };
}

it('is not made again: the record is asked with its whole input', async () => {
  const { ended, asked, made } = second({});
  expect(await ended).toEqual(OUTCOME);
  expect([asked, made]).toEqual([[['http', { order: 'Tea.' }]], []]);
});

it('is made if the record has no outcome, or the first attempt has reported that it failed', async () => {
  const none = second({ find: async () => undefined });
  await none.ended;
  expect(none.made).toEqual(['http']);
  const failed = second({ note: { ended: 1 } });
  await failed.ended;
  expect([failed.asked, failed.made]).toEqual([[], ['http']]);
});

it('is not made again if its outcome is gone', async () => {
  const find = () => Promise.reject(new MillraceError('RECORD_GONE', 'no longer exists', { recorded: true }));
  const { ended, made } = second({ find });
  await expect(ended).rejects.toMatchObject({ type: 'RECORD_GONE', nonRetryable: true });
  expect(made).toEqual([]);
});

it('leaves the question to the attempt after it if its worker shuts down before the record has answered', async () => {
  const shutdown = new AbortController();
  const find = () => {
    shutdown.abort(new CancelledFailure('WORKER_SHUTDOWN'));
    return Promise.reject(new MillraceError('STORE_UNAVAILABLE', 'fails over'));
  };
  const { ended, told, made } = second({ find, signal: shutdown.signal });
  await expect(ended).rejects.toBeInstanceOf(CancelledFailure);
  expect(made).toEqual([]);
  expect(told.at(-1)).toMatchObject({ lost: { attempt: 2 } });
  for (const details of told) expect(details).not.toHaveProperty('lost.ended');
});
