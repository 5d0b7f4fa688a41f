import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import stringWidth from 'string-width';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type PlaceCommandOptions, placePipelines } from '../../../cli/place.js';
import { explainPlacement } from '../../../cli/place-explain.js';
import { placeOptions } from '../../../cli/place-options.js';
import { MillraceError } from '../../../pipelines/errors.js';
import { readPlacement } from '../../../placement/document/index.js';
import { testSettings } from '../../support/settings.js';
import { unlessStill } from '../../support/unless-still.js';
import { CLUSTER, llmProfile, PIPELINE, PROFILES, profileFile } from '../placement/placement-files.js';

const settings = testSettings({ MILLRACE_PIPELINES: '' });

/** A folder with the files that a placement is made from. */
function files(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-place-'));
  writeFileSync(path.join(folder, 'cluster.yaml'), CLUSTER);
  writeFileSync(path.join(folder, 'p.json'), PIPELINE);
  writeFileSync(
    path.join(folder, 'trace.csv'),
    ['timestamp_s,audio_s', ...Array.from({ length: 300 }, (_, i) => `${i * 0.25},3`)].join('\n'),
  );
  mkdirSync(path.join(folder, 'profiles'));
  const more = ['a100', 'l4'].map((kind) => profileFile('assistant', kind, 60));
  for (const { file, text } of [...PROFILES, ...more]) writeFileSync(path.join(folder, 'profiles', file), text);
  return folder;
}

afterEach(() => void vi.restoreAllMocks());

/** What `millrace place` writes to stdout. */
const placed = (folder: string, ...args: readonly string[]): Promise<string> => placedBy(settings, folder, ...args);

async function placedBy(by: typeof settings, folder: string, ...args: readonly string[]): Promise<string> {
  let out = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  const command = placeOptions(new Command('place'))
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .action(async (options: PlaceCommandOptions) => placePipelines(by, options));
  const common = ['--cluster', `${folder}/cluster.yaml`, '--profiles', `${folder}/profiles`, '--time-limit', '30s'];
  await command.parseAsync([...common, ...args], { from: 'user' });
  return out;
}

describe('millrace place', { timeout: 120_000 }, () => {
  const folder = files();
  const pipeline = ['--pipeline', `${folder}/p.json`];
  const slo = ['--slo-p99', '400ms'];

  it('prints at most 100 columns', async () => {
    const text = await placed(folder, ...pipeline, ...slo, '--rate', '4', '--what-if', 'rate 2x');
    expect(text.split('\n').filter((line) => stringWidth(line) > 100)).toEqual([]);
  });

  it('prints placement.json for files alone, of a trace as of a rate', async () => {
    const byTrace = readPlacement(
      await placed(folder, ...pipeline, ...slo, '--trace', `${folder}/trace.csv`, '--json'),
    );
    expect(byTrace.ratePerSecond).toBeCloseTo(4, 1);
    expect(byTrace.predicted.p99Ms).toBeLessThanOrEqual(400);
    const byRate = readPlacement(await placed(folder, ...pipeline, ...slo, '--rate', '4', '--cv', '0.5', '--json'));
    expect(byRate.ratePerSecond).toBeCloseTo(4, 0);
  });

  it('lets batches wait to fill, for as long as the option says', async () => {
    const flat = files();
    for (const { model, kind } of ['whisper', 'tts'].flatMap((model) =>
      ['a100', 'l4'].map((kind) => ({ model, kind })),
    )) {
      const latency = [1, 4, 16].map((batch) => ({ batch, p50Ms: 80, p95Ms: 80, p99Ms: 80 }));
      const { file, text } = profileFile(model, kind, 80, { latency });
      writeFileSync(path.join(flat, 'profiles', file), text);
    }
    const ask = async (...more: readonly string[]) =>
      readPlacement(
        await placed(flat, ...pipeline, '--slo-p99', '440ms', '--rate', '12', '--time-limit', '5s', '--json', ...more),
      );
    // A search has less of its time where its process stands still.
    await unlessStill(async () => {
      const atOnce = await ask();
      const waiting = await ask('--batch-delay', '200ms');
      expect(waiting.costPerHour).toBeLessThan(atOnce.costPerHour);
      expect(Math.max(...waiting.pools.map(({ maxQueueDelayMs }) => maxQueueDelayMs))).toBeLessThanOrEqual(200);
    });
    await expect(placed(flat, ...pipeline, ...slo, '--rate', '4', '--batch-delay', 'soon')).rejects.toThrow();
  });

  it('tells people: the decision, a picture, reasons, the bottleneck, the next euro, and answers', async () => {
    const out = await placed(
      folder,
      ...pipeline,
      ...slo,
      '--rate',
      '5',
      '--what-if',
      'rate 2x',
      '--what-if',
      'add 1×A100',
    );
    expect(out).toMatch(/^Placement [0-9a-f]{12}: 5 runs a second for 1\.40 EUR an hour, p99 <= 400 ms$/m);
    expect(out).toMatch(/^gpu2\/0 +l4 .*[█░]{10} \d+(\.\d)? % +[█░]{10} \d+(\.\d)? %$/m);
    expect(out).toMatch(/^ {2}whisper: \d x l4: the load keeps at least 0\.\d+ busy/m);
    expect(out).toMatch(/^Bottleneck {2}(whisper|tts): /m);
    expect(out).toMatch(/^Next euro {3}one (l4|a100) more for (whisper|tts)/m);
    expect(out).toMatch(/^What if rate 2x: 10 runs a second for \d+\.\d\d EUR an hour/m);
    expect(out).toMatch(/^What if add 1×A100: 5 runs a second for 1\.40 EUR an hour \(\+0\.00\)/m);
  });

  it('takes objectives of stages alone or beside those of whole runs, and refuses what is none', async () => {
    const common = [...pipeline, '--rate', '4', '--size', 'characters=40'];
    const out = await placed(
      folder,
      ...common,
      '--slo',
      'hear.latency.p99=300ms',
      '--slo',
      'voice:speak.ttfa.p95=0.5s',
    );
    expect(out).toMatch(/^Placement [0-9a-f]{12}: 4 runs a second for 0\.70 EUR an hour$/m);
    expect(out).toMatch(/^ +voice\/speak ttfa p95 \d+ ms, at most 500 ms$/m);
    await expect(placed(folder, ...common, '--slo', 'hear.ttft.p99=300ms')).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    });
    await expect(placed(folder, ...common)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });

  it('takes a share of the runs for all objectives at once, also in each minute, and refuses what is none', async () => {
    const common = [...pipeline, '--rate', '4', '--size', 'characters=40', '--slo', 'hear.latency=300ms'];
    const out = await placed(folder, ...common, '--goodput', '0.9', '--worst-minute', '0.8', '--json');
    const { slo, predicted } = readPlacement(out);
    expect(slo).toMatchObject({ goodput: 0.9, worstMinute: 0.8, stages: [{ percentile: 90, ms: 300 }] });
    expect(predicted.attainment).toBeGreaterThanOrEqual(0.9);
    expect(predicted.worstMinute?.attainment).toBeGreaterThanOrEqual(0.8);
    await expect(placed(folder, ...common)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    for (const share of ['95', '0.4', 'most'])
      await expect(placed(folder, ...common, '--goodput', share)).rejects.toThrow(/number from 0 to 1|share from 0.5/);
  });

  it('spends the part of the error budgets that it may, and refuses what is no part', async () => {
    const common = [...pipeline, ...slo, '--rate', '4'];
    const { slo: stated, predicted } = readPlacement(
      await placed(folder, ...common, '--error-budget', '0.5', '--json'),
    );
    expect(stated).toEqual({ p99Ms: 400, errorBudget: 0.5 });
    expect(predicted.errorBudgets).toEqual([{ of: 'p99', beyond: expect.any(Number), spent: expect.any(Number) }]);
    expect(predicted.errorBudgets?.[0]?.spent).toBeLessThanOrEqual(0.5);
    for (const share of ['50', '0.05', '1.1', 'half', ''])
      await expect(placed(folder, ...common, '--error-budget', share)).rejects.toThrow(/number from 0 to 1|from 0.1/);
  });

  it('keeps the objectives after a loss with --survive, and refuses what is no single loss', async () => {
    const of = (...survive: readonly string[]) =>
      placed(folder, '--survive', ...survive, ...pipeline, ...slo, '--rate', '4', '--json');
    expect(readPlacement(await of('1', 'device'))).toMatchObject({ slo: { survive: 'device' }, worstLoss: {} });
    await expect(of('2', 'devices')).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: '--survive: "2 devices" is no single loss: write 1 device, or 1 node',
    });
  });

  it('takes prompts in prefix caches by the affinity of the option, else of the models file, and refuses it without effect', async () => {
    const own = files();
    writeFileSync(
      path.join(own, 'chat.json'),
      JSON.stringify({ format: 1, name: 'talk', stages: [{ id: 'answer', model: 'chatty' }] }),
    );
    const { file, text } = llmProfile('chatty', 'l4', 100, 10);
    writeFileSync(path.join(own, 'profiles', file), text);
    const lines = Array.from({ length: 300 }, (_, i) => `${i * 0.25},200,20,180`);
    writeFileSync(path.join(own, 'chat.csv'), ['timestamp_s,tokens_in,tokens_out,tokens_cached', ...lines].join('\n'));
    const pool = { connector: 'openai', model: 'c', endpoints: [{ url: 'http://c/v1', device: 'gpu2/0' }] };
    const modelsWith = (more: object) => {
      const models = path.join(own, 'models.json');
      writeFileSync(models, JSON.stringify({ chatty: { ...pool, kind: 'chat', ...more } }));
      return testSettings({ MILLRACE_PIPELINES: '', MILLRACE_MODELS: models });
    };
    const args = ['--pipeline', `${own}/chat.json`, ...['--slo-p99', '3s'], '--trace', `${own}/chat.csv`, '--json'];
    const cacheBy = async (by: typeof settings, ...more: readonly string[]) =>
      readPlacement(await placedBy(by, own, ...args, ...more)).pools[0]?.prefixCache;
    expect(await cacheBy(settings)).toMatchObject({ affinity: 'session', by: 'default', share: 0.9 });
    expect(await cacheBy(modelsWith({ affinity: 'prefix' }))).toMatchObject({ affinity: 'prefix', by: 'models' });
    expect(await cacheBy(modelsWith({ options: { router: 'external' } }))).toMatchObject({ affinity: 'none' });
    expect(await cacheBy(modelsWith({}), '--affinity', 'chatty=none')).toMatchObject({
      affinity: 'none',
      by: 'option',
    });
    const refused = async (...more: readonly string[]) =>
      String(await placed(own, ...args, ...more).catch((error: unknown) => error));
    expect(await refused('--affinity', 'chaty=none')).toMatch(/no stage uses a model "chaty" \(did you mean "chatty"/);
    expect(await refused('--affinity', 'chatty=maybe')).toMatch(/session, prefix, none/);
    const both = [...args, '--pipeline', `${own}/p.json`, '--trace', `${own}/trace.csv`];
    await expect(placed(own, ...both, '--affinity', 'tts=prefix')).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      details: { fields: [{ field: '--affinity', message: expect.stringMatching(/^"tts" has no tokens/) }] },
    });
    const rate = ['--pipeline', `${own}/chat.json`, '--slo-p99', '3s', '--rate', '2', '--affinity', 'chatty=prefix'];
    await expect(placed(own, ...rate)).rejects.toThrow(/says nothing of prefix caches/);
    expect(await placed(own, ...rate, '--size', 'tokens_cached=100')).toMatch(
      /^Prefix caches\n {2}chatty: prefix caches have 50 % of its prompts' tokens/m,
    );
  });

  it('explain says on one screen what binds, where money and time go, and what the next device would do', async () => {
    const file = path.join(folder, 'placement.json');
    writeFileSync(file, await placed(folder, ...pipeline, ...slo, '--rate', '5', '--json'));
    const explained = async (cluster?: string) => {
      let out = '';
      vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
        out += String(text);
        return true;
      });
      await explainPlacement(file, cluster === undefined ? {} : { cluster });
      return out;
    };
    const out = await explained(`${folder}/cluster.yaml`);
    expect(out.split('\n').length).toBeLessThanOrEqual(48);
    expect(out.split('\n').filter((line) => stringWidth(line) > 100)).toEqual([]);
    expect(out).toMatch(/^Placement [0-9a-f]{12}: 5 runs a second for 1\.40 EUR an hour$/m);
    expect(out).toMatch(/^What binds: /m);
    expect(out).toMatch(/^p99 objective +[█░]{10} \d+(\.\d)? % +\d+ of 400 ms$/m);
    expect(out).toMatch(/^fullest memory +[█░]{10}/m);
    expect(out).toMatch(/^whisper +\d x l4 +\d\.\d\d +\d+(\.\d)? %$/m);
    expect(out).toMatch(/^Next euro: one (l4|a100) more for (whisper|tts)/m);
    expect(out).toMatch(/^Worst loss: without /m);
    expect(await explained()).not.toContain('fullest memory');
    writeFileSync(file, '{"format":1}');
    await expect(explained()).rejects.toMatchObject({ code: 'INVALID_PLACEMENT' });
  });

  it('takes a pipeline of the catalogue by its name, and says what it takes for granted', async () => {
    const out = await placed(folder, '--pipeline', 'voice-assistant', '--slo-p99', '2s', '--rate', '2');
    expect(out).toMatch(/^voice-assistant\/answer +assistant/m);
    expect(out).toMatch(/answer\.embed \(minilm\) has no profile; it is assumed to cost nothing/);
  });

  it.each([
    ['no objective', ['--rate', '5'], 'INVALID_INPUT', /--slo-p99: pass/],
    ['no arrivals', slo, 'INVALID_INPUT', /--rate: pass the arrivals of runs/],
    ['arrivals twice', [...slo, '--rate', '5', '--trace', 'x.csv'], 'INVALID_INPUT', /not both/],
    ['a trace that is not there', [...slo, '--trace', `${folder}/no.csv`], 'INVALID_TRACE', /cannot read/],
    ['a wrong question', [...slo, '--rate', '5', '--what-if', 'win'], 'INVALID_INPUT', /--what-if win: ask/],
    ['a wrong figure', [...slo, '--rate', '5', '--assume', 'hear.luck=1'], 'INVALID_INPUT', /figures are/],
  ])('refuses %s', async (_, args, code, message) => {
    const error = await placed(folder, ...pipeline, ...args).catch((thrown: unknown) => thrown);
    if (!(error instanceof MillraceError)) expect.fail(String(error));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  it('refuses a profile that is too old, by its line', async () => {
    const old = files();
    const file = `${old}/profiles/whisper-l4.json`;
    const profile = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify({ measuredAt: '2020-01-01T00:00:00Z', ...profile }, null, 2));
    const load = ['--pipeline', `${old}/p.json`, ...slo, '--rate', '1'];
    const stale = placed(old, ...load);
    await expect(stale).rejects.toMatchObject({
      code: 'PROFILE_STALE',
      message: expect.stringMatching(
        /^whisper-l4\.json:2 measuredAt: "whisper" was measured \d+\.?\d* days ago, and 90 days/,
      ),
    });
    expect(await placed(old, ...load, '--max-profile-age', '100000d')).toMatch(/^Placement/);
  });

  it.each([
    ['--slo-p99', 'soon'],
    ['--rate', '-1'],
    ['--quality-floor', '2'],
    ['--objective', 'fame'],
  ])('refuses %s %s at once', async (option, value) => {
    await expect(placed(folder, ...pipeline, option, value)).rejects.toThrow(/It must be/);
  });
});
