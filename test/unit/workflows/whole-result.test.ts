import { beforeEach, describe, expect, it, vi } from 'vitest';
import { ENTRY_KIND, type WholeCall } from '../../../pipelines/run/index.js';
import { wholeResult } from '../../../workflows/whole-result.js';

/** What the workflow commands, in its order. */
const commands = vi.hoisted((): unknown[] => []);
vi.mock('@temporalio/workflow', async (original) => ({
  ...(await original<typeof import('@temporalio/workflow')>()),
  patched: (id: string) => {
    commands.push(id);
    return true;
  },
  proxyActivities: (options: object) => ({
    chunks: async (input: unknown, call: unknown) => {
      commands.push({ options, input, call });
      return 'whole';
    },
  }),
}));

beforeEach(() => {
  commands.length = 0;
});

const of = { pipeline: 'minutes', version: 'v', tenant: 'acme', priority: 'batch' } as const;
const wanted = { of, name: 'chunks', summary: 'outcome · chunks', room: () => undefined };
const outcome = { outcome: { path: 'chunks' } };

describe('a result for which the message of its workflow task had no room', () => {
  it('is returned by an activity that only workers of this release take', async () => {
    expect(await wholeResult({ n: 1 }, outcome, { ...wanted, leftMs: 90_000 })).toBe('whole');
    const [, asked] = commands as [unknown, { options: object; input: object; call: WholeCall }];
    expect(asked).toMatchObject({
      options: { scheduleToCloseTimeout: 90_000, priority: { fairnessKey: 'acme' }, summary: 'outcome · chunks' },
      input: { n: 1 },
      call: { kind: ENTRY_KIND, pipeline: 'minutes', tenant: 'acme', whole: outcome },
    });
  });

  it('has half a minute though the time of its step is over: nothing of it is to be done any more', async () => {
    await wholeResult({}, outcome, { ...wanted, leftMs: -5 });
    expect(commands[1]).toMatchObject({ options: { scheduleToCloseTimeout: 30_000 } });
  });

  it('stops a worker of an earlier release in the same task, though its command has to wait for room', async () => {
    let room: () => void = () => undefined;
    const waiting = new Promise<void>((resolve) => {
      room = resolve;
    });
    const whole = wholeResult({}, outcome, { ...wanted, leftMs: 1, room: () => waiting });
    expect(commands).toEqual(['large-commands-leave-room']);
    room();
    expect(await whole).toBe('whole');
    expect(commands).toHaveLength(2);
  });
});
