import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { approve, type Pipeline, pipeline } from '../../../pipelines/index.js';
import { runInProcess } from '../../../workers/hosts/in-process-host.js';
import { Waits } from '../../../workflows/interpreter/index.js';
import { contextOf } from '../../support/in-process.js';
import { until } from '../../support/runs.js';

const form = z.object({ seat: z.int().max(6), meal: z.enum(['fish', 'rice']).default('rice') });
const seated = (timeout: '1h' | '100ms') =>
  pipeline('seated', { input: z.object({}), deadline: '2h' }, ({ stage }) => {
    const { approved, content, by } = stage('where', approve({ timeout, form }), { subject: 'Ada' });
    return { approved, content, by };
  }) as unknown as Pipeline;

const runner = { run: () => Promise.reject(new Error('no stage calls anything here')) };

function running(made: Pipeline) {
  const waits = new Waits();
  const ended = runInProcess({}, contextOf(made), { runner, run: 'r', waits });
  const open = async () => {
    await until('a person is asked', () => waits.open.length > 0);
    const [wait] = waits.open;
    if (!wait) throw new Error('nobody is asked');
    return wait;
  };
  return { waits, ended, open };
}

describe('a step with a form', () => {
  it('shows it, and has what was filled in, with defaults', async () => {
    const { waits, ended, open } = running(seated('1h'));
    const { nonce, question, subject } = await open();
    expect(subject).toBe('Ada');
    expect(question).toMatchObject({ message: 'Ada', schema: { required: ['seat'] } });
    for (const content of [undefined, {}, { seat: 7 }, { seat: 1, meal: 'meat' }, { seat: 1, row: 2 }])
      expect(() => waits.check({ nonce, approved: true, ...(content && { content }) })).toThrow(
        expect.objectContaining({ code: 'INVALID_INPUT' }),
      );
    waits.decide({ nonce, approved: true, by: 'ada', content: { seat: 4 } });
    expect((await ended).output).toEqual({ approved: true, by: 'ada', content: { seat: 4, meal: 'rice' } });
  });

  it('has no content where it is rejected, or nobody has filled it in', async () => {
    const { waits, ended, open } = running(seated('1h'));
    const { nonce } = await open();
    waits.decide({ nonce, approved: false });
    expect((await ended).output).toEqual({ approved: false, by: 'person' });
    expect((await running(seated('100ms')).ended).output).toEqual({ approved: false, by: 'timeout' });
  });
});
