import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { besides } from '../../../../cli/auto/audit.js';
import { replanWithin } from '../../../../cli/auto/index.js';
import { livePorts } from '../../../../cli/auto/live-ports.js';
import type { ReplanCommandOptions } from '../../../../cli/replan-measure.js';
import { EMPTY, readPolicy } from '../../../../placement/auto/index.js';
import { writeJson } from '../../../../runtime/json-file.js';
import { identify } from '../../../../runtime/process-identity.js';
import { CLUSTER, placedPool, placementOf } from '../../../support/placements.js';
import { testSettings } from '../../../support/settings.js';

const stages = { 'voice/hear': 'whisper', 'voice/answer': 'llm' };
const [one, two] = ['gpu1/0', 'gpu1/1'].map((device) => placementOf([placedPool('whisper', [[device]])], stages));
if (!one || !two) throw new Error('no placements');

let folder = '';
const at = (name: string) => path.join(folder, name);
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'millrace-ports-'));
  writeFileSync(at('cluster.yaml'), CLUSTER);
  const endpoints = [{ url: 'gpu1:8001', device: 'gpu1/0' }];
  writeFileSync(
    at('models.json'),
    JSON.stringify({ whisper: { connector: 'triton', model: 'w', kind: 'transcribe', endpoints } }),
  );
  writeFileSync(at('placement.json'), JSON.stringify(one));
});

function ports(signal = new AbortController().signal, client = {} as Client) {
  return livePorts({
    ...{ file: at('placement.json'), signal, told: () => undefined },
    settings: testSettings({ MILLRACE_MODELS: at('models.json'), MILLRACE_TASK_QUEUE: 'blue' }),
    options: { cluster: at('cluster.yaml'), out: folder, look: 0, timeLimit: 1_000 } as ReplanCommandOptions,
    client,
  });
}

describe('what an automatic change does', () => {
  it('sees a placement that is half written, or away, as one that somebody else has put there', () => {
    const own = ports();
    writeFileSync(at('placement.json'), JSON.stringify(one).slice(0, 100));
    expect(own.inForce()).toMatch(/^one that cannot be read \(/);
    rmSync(at('placement.json'));
    expect(own.inForce()).toBe('none');
  });

  it('stops where the journal is half written: whether a change has ended is not known', () => {
    const { journal } = besides(at('placement.json'));
    writeFileSync(journal, JSON.stringify(EMPTY).slice(0, 20));
    expect(() => ports().readJournal()).toThrow(
      expect.objectContaining({
        code: 'INVALID_PLACEMENT',
        message: expect.stringMatching(/auto\.json: is not the journal of .*remove the file$/),
      }),
    );
    writeFileSync(journal, JSON.stringify({ ...EMPTY, refused: [{ version: '../etc', until: 'soon' }] }));
    expect(() => ports().readJournal()).toThrow(/is not the journal/);
  });

  it('asks the endpoints of the models file in use, and says how to start what is missing', async () => {
    const describeTaskQueue = async () => ({ pollers: [] });
    const client = { connection: { workflowService: { describeTaskQueue } } } as unknown as Client;
    const own = ports(undefined, client);
    expect(await own.missing(two)).toEqual([
      { what: 'servers', text: 'the models file has no endpoint of whisper on gpu1/1' },
      { what: 'workers', text: 'no worker takes calls of whisper on gpu1/1 (blue.device.gpu1.1)' },
    ]);
    const proposal = at(`placement-${two.version}.json`);
    expect(own.advice(two)).toContain(`"millrace apply ${proposal} --cluster ${at('cluster.yaml')} --dry-run"`);
  });

  it('adds its reason to a file that a person has written, once, and no more to one that is long', () => {
    const own = ports();
    const { hold } = besides(at('placement.json'));
    writeFileSync(hold, 'Ada: load test until six\n');
    own.waitFor('somebody else has changed it');
    own.waitFor('somebody else has changed it');
    const text = readFileSync(hold, 'utf8');
    expect(text).toMatch(/^Ada: load test until six\n\n\nsomebody else has changed it\n\nNothing is changed by itself/);
    expect(text.split('somebody else')).toHaveLength(2);
    expect(own.waitsFor()).toMatch(/is there: Ada: load test until six/);
    writeFileSync(hold, 'x'.repeat(70_000));
    own.waitFor('somebody else has changed it');
    expect(readFileSync(hold, 'utf8')).toHaveLength(70_000);
  });

  it('waits two minutes for a Temporal that does not answer, and not when the process is to end', async () => {
    const describeTaskQueue = () => new Promise(() => undefined);
    const silent = { connection: { workflowService: { describeTaskQueue } } } as unknown as Client;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const late = expect(ports(undefined, silent).missing(two)).rejects.toMatchObject({ name: 'TimeoutError' });
      await vi.advanceTimersByTimeAsync(120_000);
      await late;
      const ended = new AbortController();
      const asked = ports(ended.signal, silent).missing(two);
      ended.abort(new Error('it is to end'));
      await expect(asked).rejects.toThrow('it is to end');
    } finally {
      vi.useRealTimers();
    }
  });

  it('writes each step as a line of JSON and for people, and begins nothing where it cannot', () => {
    const own = ports();
    const printed = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const complained = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    try {
      own.tell({
        event: 'switched',
        from: one.version,
        to: two.version,
        text: 'new runs\u001b]2;x\u0007 use it',
        evidence: { p95Ms: 3 },
      });
      expect(String(printed.mock.calls[0]?.[0])).toMatch(
        new RegExp(`^\\S+Z {2}switched {2}${one.version} -> ${two.version}: new runs.*use it`),
      );
      expect(String(printed.mock.calls[0]?.[0])).not.toContain('\u0007');
      const { audit } = besides(at('placement.json'));
      expect(statSync(audit).mode & 0o777).toBe(0o600);
      expect(JSON.parse(readFileSync(audit, 'utf8'))).toMatchObject({ event: 'switched', evidence: { p95Ms: 3 } });
      folder = '/nowhere';
      const lost = ports();
      expect(() => lost.tell({ event: 'started', text: '' })).toThrow(/ENOENT/);
      lost.tell({ event: 'rolled-back', text: '' });
      expect(String(complained.mock.calls.at(-1)?.[0])).toMatch(/auto\.jsonl cannot be written/);
    } finally {
      printed.mockRestore();
      complained.mockRestore();
    }
  });

  it('is refused while another process does it, whose lock is taken over when it is dead', async () => {
    const { lock } = besides(at('placement.json'));
    const policy = readPolicy('format: 1\ndrifts: [rate]\ndevices: 9\n');
    const start = () =>
      replanWithin({
        ...{ policy, file: at('placement.json'), told: () => undefined, client: {} as Client },
        settings: testSettings({ MILLRACE_MODELS: at('models.json') }),
        options: { cluster: at('cluster.yaml'), timeLimit: 1_000 } as ReplanCommandOptions,
      });
    writeJson(lock, identify(process.pid));
    await expect(start()).rejects.toMatchObject({
      code: 'PLACEMENT_LOCKED',
      message: expect.stringMatching(
        new RegExp(`^process ${process.pid} changes .*placement\\.json automatically already`),
      ),
    });
    expect(existsSync(lock)).toBe(true);
    // Another process with that number, later: not the one that has locked it.
    writeJson(lock, { ...identify(process.pid), startTicks: 1 });
    writeFileSync(besides(at('placement.json')).journal, 'not a journal');
    const printed = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    try {
      await expect(start()).rejects.toMatchObject({ code: 'INVALID_PLACEMENT' });
    } finally {
      printed.mockRestore();
    }
    expect(existsSync(lock)).toBe(false);
  });
});
