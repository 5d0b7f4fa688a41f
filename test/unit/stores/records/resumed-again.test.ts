import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { recordKey } from '../../../../stores/records/index.js';
import { callOf, ended, recording } from './recording.js';

const LARGE = { text: 'x'.repeat(20_000) };
const pay = callOf({ sealed: true });
const say = callOf({ stage: 'say', kind: 'chat', model: 'large' });
const none = { ended: [], repeat: false };

/** A run `run`, one that has resumed it and failed, `run-r1`, and what `run-r2` gets, which resumes that. */
async function chain(
  kept: readonly (readonly [StageCall, JsonObject, JsonObject | string])[],
  { child = '', over = [] as readonly string[] } = {},
) {
  const all = recording();
  const { records } = all;
  for (const [call, input, result] of kept) await records.keep(ended(`run${child}`, call, input, result));
  await records.hold('run', { ended: over, repeat: false }, 1);
  const resume = (repeat = false) => records.hold('run-r1', { ended: [], repeat }, 1);
  await resume();
  const asked = (call: StageCall, input: JsonObject) => records.before(`run-r2${child}`, call, input);
  return { ...all, asked, resume };
}

describe('a run that resumes a resumed one', () => {
  it('takes what that one has not come to from the run before it, also in a child run', async () => {
    for (const child of ['', '/packing']) {
      const { asked } = await chain([[pay, { n: 1 }, { receipt: 1 }]], { child });
      expect(await asked(pay, { n: 1 }), child).toMatchObject({ outcome: { output: { receipt: 1 }, resumed: true } });
    }
  });

  it('does not pay again what that one could not take over: its value is gone', async () => {
    const { asked, records, files } = await chain([[pay, { n: 1 }, LARGE]]);
    files.clear();
    await expect(records.before('run-r1', pay, { n: 1 })).rejects.toMatchObject({ code: 'RECORD_GONE' });
    await records.keep(ended('run-r1', pay, { n: 1 }, 'RECORD_GONE'));
    await expect(asked(pay, { n: 1 })).rejects.toMatchObject({ code: 'RECORD_GONE' });
  });

  it('does not pay in another way than the first one has', async () => {
    const { asked, records } = await chain([[pay, { n: 1 }, { receipt: 1 }]]);
    await records.keep(ended('run-r1', pay, { n: 2 }, 'RESUME_DIVERGED'));
    await expect(asked(pay, { n: 2 })).rejects.toMatchObject({ code: 'RESUME_DIVERGED', details: { differs: true } });
  });

  it('makes the calls that have failed in both, and takes a failure behind which the first one went on', async () => {
    const small = callOf({ stage: 'say', kind: 'chat', model: 'small' });
    const failed = 'BACKEND_OVERLOADED';
    const { asked, records } = await chain([
      [pay, { n: 1 }, 'CODE_FAILED'],
      [say, { n: 1 }, failed],
      [small, { n: 1 }, { text: 'yes' }],
    ]);
    await records.keep(ended('run-r1', pay, { n: 1 }, 'CODE_FAILED'));
    expect(await asked(pay, { n: 1 })).toBeUndefined();
    expect(await asked(say, { n: 1 })).toMatchObject({ failure: { code: failed } });
    expect(await asked(small, { n: 1 })).toMatchObject({ outcome: { output: { text: 'yes' } } });
  });

  it('takes the latest outcome where both have one', async () => {
    const { asked, records } = await chain([[say, { n: 1 }, { text: 'first' }]]);
    await records.keep(ended('run-r1', say, { n: 1 }, { text: 'second' }));
    expect(await asked(say, { n: 1 })).toMatchObject({ outcome: { output: { text: 'second' } } });
  });

  it('makes no call that it would have to know of from a record that is gone, unless somebody permits repeats', async () => {
    const { asked, resume, hashAt, records } = await chain([[pay, { n: 1 }, { receipt: 1 }]]);
    expect(await records.holdEarlier('run-r1', 1)).toEqual([]);
    hashAt(recordKey('run')).clear();
    await expect(asked(pay, { n: 1 })).rejects.toMatchObject({ code: 'RECORD_GONE' });
    expect(await records.holdEarlier('run-r1', 1)).toEqual(['run']);
    await resume(true);
    expect(await asked(pay, { n: 1 })).toBeUndefined();
  });

  it('makes a call that the first record lacks, though its stage had ended, if somebody permits repeats', async () => {
    const { asked, resume } = await chain([], { over: ['pay'] });
    await expect(asked(pay, { n: 1 })).rejects.toMatchObject({ code: 'RESUME_DIVERGED' });
    await resume(true);
    expect(await asked(pay, { n: 1 })).toBeUndefined();
  });
});

describe('a run that has been resumed many times', () => {
  /** What the twelfth resumption gets of a call that one of the runs before it has made, and the records that are read at the same time. */
  async function twelfth(made: string, fails: (key: string) => boolean = () => false) {
    const { records, redis, hashAt } = recording();
    const all = ['run', ...Array.from({ length: 11 }, (_, i) => `run-r${i + 1}`)];
    for (const run of all) await records.hold(run, none, 1);
    await records.keep(ended(made, pay, { n: 1 }, { receipt: 1 }));
    const rounds: number[] = [];
    let under = 0;
    redis.hmget = async (key: string, ...fields: readonly string[]) => {
      if (under++ === 0) rounds.push(0);
      rounds[rounds.length - 1] = under;
      await new Promise((resolve) => setTimeout(resolve, 5));
      under -= 1;
      if (fails(key)) throw new Error('no connection');
      return fields.map((field) => hashAt(key).get(field) ?? null);
    };
    return { found: await records.before('run-r12', pay, { n: 1 }), rounds };
  }

  it('reads the record of the latest, and those of the runs before it together, some at once', async () => {
    const found = { outcome: { output: { receipt: 1 } } };
    expect(await twelfth('run')).toMatchObject({ found, rounds: [1, 8, 3] });
    expect(await twelfth('run-r11')).toMatchObject({ found, rounds: [1] });
  });

  it('needs no record behind the one that has the call', async () => {
    const behind = (key: string) => key === recordKey('run-r5');
    expect(await twelfth('run-r6', behind)).toMatchObject({ found: { outcome: { output: { receipt: 1 } } } });
    await expect(twelfth('run-r4', behind)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });
});

it('a call that has ended without an outcome in the record is not made again', async () => {
  const { records, hashAt } = recording();
  await records.keep(ended('run', pay, { n: 1 }, { receipt: 1 }));
  const hash = hashAt(recordKey('run'));
  for (const [field, text] of hash) {
    if (!field.startsWith('=')) hash.set(field, text.replace('"output":', '"lost":'));
  }
  await records.hold('run', none, 1);
  await expect(records.before('run-r1', pay, { n: 1 })).rejects.toMatchObject({ code: 'RECORD_GONE' });
});

describe('an item that has begun again with another piece', () => {
  const at = (item: string, more: Partial<StageCall> = {}) => callOf({ path: `${item}/pay`, ...more });
  const receipt = { outcome: { output: { receipt: 1 }, resumed: true } };
  const ITEMS: readonly (readonly [string, string])[] = [
    ['said[0~2]', 'said[0]'],
    ['said[0]', 'said[0~2]'],
    ['all[1~2]/said[0~2]', 'all[1]/said[0]'],
  ];

  it.each(ITEMS)('is known at %s as the same at %s, also where its loop has ended', async (made, asking) => {
    const { asked } = await chain([[at(made), { n: 1 }, { receipt: 1 }]], { over: ['pay'] });
    expect(await asked(at(asking), { n: 1 })).toMatchObject(receipt);
    await expect(asked(at(asking), { n: 2 })).rejects.toMatchObject({ code: 'RESUME_DIVERGED' });
  });

  it.each(ITEMS)('is left out again where it was at %s, and is now at %s', async (made, asking) => {
    const { asked } = await chain([[at(made), { n: 1 }, 'CODE_FAILED']], { over: ['pay'] });
    expect(await asked(at(asking), { n: 1 })).toMatchObject({ failure: { code: 'CODE_FAILED' } });
    await expect(asked(at(asking), { n: 2 })).rejects.toMatchObject({ code: 'RESUME_DIVERGED' });
  });

  it('is known in a child run', async () => {
    const { records } = await chain([[pay, { n: 1 }, { receipt: 1 }]], { child: '/said[0~2]/child' });
    expect(await records.before('run-r2/said[0]/child', pay, { n: 1 })).toMatchObject(receipt);
  });

  it('takes the answer to the piece that it has, of two that it was asked for', async () => {
    const say = (item: string) => at(item, { kind: 'chat', model: 'large' });
    const { asked } = await chain([
      [say('said[0]'), { n: 1 }, { text: 'first' }],
      [say('said[0~2]'), { n: 2 }, { text: 'second' }],
    ]);
    expect(await asked(say('said[0]'), { n: 1 })).toMatchObject({ outcome: { output: { text: 'first' } } });
    expect(await asked(say('said[0]'), { n: 2 })).toMatchObject({ outcome: { output: { text: 'second' } } });
    expect(await asked(say('said[0]'), { n: 3 })).toBeUndefined();
  });
});
