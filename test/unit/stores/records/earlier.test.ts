import { expect, it } from 'vitest';
import { MillraceError } from '../../../../pipelines/errors.js';
import { callOf, ended, recording } from './recording.js';

const LARGE = { text: 'x'.repeat(20_000) };

it('the outcome that an attempt has recorded is found, or known to have been there: it is lost, or not reached', async () => {
  for (const call of [callOf(), callOf({ sealed: true })]) {
    const { records, files, store } = recording();
    const found = () => records.earlier('run', call, { n: 1 }, 0);
    expect(await found()).toBeUndefined();
    await records.keep(ended('run', call, { n: 1 }, LARGE));
    expect(await found()).toMatchObject({ output: LARGE });
    store.read = () => {
      throw new MillraceError('STORE_UNAVAILABLE', 'away');
    };
    await expect(found()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', details: { recorded: true } });
    store.read = () => undefined;
    expect(await found()).toMatchObject({ output: LARGE });
    // Where it is enough to know that it is there, the artifact store is not asked: it may hang.
    store.read = () => expect.fail('it is read');
    expect(await records.earlier('run', call, { n: 1 }, 0, 'unread')).toBe('unread');
    expect(await records.earlier('run', call, { n: 2 }, 0, 'unread')).toBeUndefined();
    store.read = () => undefined;
    files.clear();
    await expect(found()).rejects.toMatchObject({ code: 'RECORD_GONE', details: { recorded: true } });
    expect(await records.earlier('run', call, { n: 2 }, 0)).toBeUndefined();
    expect(await records.earlier('run', call, { n: 1 }, 3_600_000), 'of another run that had the id').toBeUndefined();
    // Whatever its attempt was told, a run that resumes this one does not make the call.
    await records.hold('run', { ended: [], repeat: false }, 1);
    await expect(records.before('run-r1', call, { n: 1 })).rejects.toMatchObject({ code: 'RECORD_GONE' });
  }
});

it('an outcome in the record itself is returned, also where others are not read', async () => {
  const { records } = recording();
  await records.keep(ended('run', callOf(), { n: 1 }, { text: 'Paid.' }));
  expect(await records.earlier('run', callOf(), { n: 1 }, 0, 'unread')).toMatchObject({ output: { text: 'Paid.' } });
});
