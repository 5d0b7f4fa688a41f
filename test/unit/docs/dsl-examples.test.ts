import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import * as artifact from '../../../pipelines/artifact.js';
import * as errors from '../../../pipelines/errors.js';
import type { Pipeline } from '../../../pipelines/index.js';
import * as face from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { allSteps, isStage } from '../../../pipelines/plan/index.js';
import { STAGE_KINDS } from '../../../pipelines/stages/index.js';
import { runInProcess } from '../../../workers/hosts/in-process-host.js';
import { Waits } from '../../../workflows/interpreter/index.js';
import { decideIn } from '../../support/deciding.js';
import { asModule, type Example, examples, valuesOf } from '../../support/dsl-examples.js';
import { CodeRunner, contextOf } from '../../support/in-process.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Inside the repository, so that the blocks find its packages; hidden, so that nothing else finds the blocks. */
mkdirSync(path.join(ROOT, '.millrace'), { recursive: true });
const folder = mkdtempSync(path.join(ROOT, '.millrace', 'dsl-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ALL = examples();
const files = new Map(ALL.map((example, i) => [example, path.join(folder, `example-${i}.ts`)] as const));
for (const [example, file] of files) writeFileSync(file, asModule(example));

async function pipelineOf(example: Example): Promise<Pipeline> {
  const file = files.get(example) as string;
  const exported = Object.values((await import(pathToFileURL(file).href)) as Record<string, Pipeline>);
  expect(exported, 'a block exports one pipeline').toHaveLength(1);
  return exported[0] as Pipeline;
}

const stagesOf = ({ plan }: Pipeline) => [...allSteps(plan)].filter(isStage);
const callsModels = (pipeline: Pipeline) => stagesOf(pipeline).some(({ kind }) => !['code', 'approve'].includes(kind));

/** A compiler that starts on a busy machine with two cores. */
const COMPILE_MS = 120_000;

describe('the examples of the DSL reference', () => {
  it.each(ALL.map((example) => [example.name, example] as const))('%s', async (_, example) => {
    const pipeline = await pipelineOf(example);
    expect(example.runs.length, 'a block says what a run of it gives').toBeGreaterThan(0);
    if (callsModels(pipeline)) return;
    for (const { call, expected } of example.runs) {
      const waits = new Waits();
      const decided = example.decisions.map((each) =>
        decideIn(waits, ...(valuesOf(each) as [string, { approved: boolean; by?: string }])),
      );
      const [input, context] = valuesOf(call) as [JsonObject, object | undefined];
      const filled = pipeline.input.parse(input) as JsonObject;
      const { output } = await runInProcess(
        filled,
        { ...contextOf(pipeline), ...context },
        { runner: new CodeRunner(pipeline), run: 'example', waits },
      );
      await Promise.all(decided);
      expect(JSON.parse(JSON.stringify(output))).toEqual(valuesOf(expected)[0]);
    }
  });

  it('are there for every stage kind, every step of control flow, every option and every operator', async () => {
    const pipelines = await Promise.all(ALL.map(pipelineOf));
    const steps = pipelines.flatMap(({ plan }) => [...allSteps(plan)]);
    const kinds = new Set(steps.map(({ kind }) => kind));
    expect(
      [...Object.keys(STAGE_KINDS), 'when', 'each', 'repeat', 'race', 'pipeline'].filter((k) => !kinds.has(k)),
    ).toEqual([]);
    const given = new Set(pipelines.flatMap(({ authored }) => [...authored.values()].flatMap((o) => Object.keys(o))));
    expect([...given].sort()).toEqual(
      [
        'cache',
        'degrade',
        'execution',
        'fallback',
        'hedge',
        'onCut',
        'optional',
        'patience',
        'priority',
        'reserve',
        'retry',
        'timeout',
      ].sort(),
    );
    const source = ALL.map((example) => example.source).join('\n');
    // Those of artifacts and errors are for code stages, and are not the language.
    const others = new Set([...Object.keys(artifact), ...Object.keys(errors)]);
    const functions = Object.entries(face).filter(([name, value]) => typeof value === 'function' && !others.has(name));
    for (const [name] of functions) {
      expect(source, name).toMatch(new RegExp(`\\b${name}\\b[\`(]`));
    }
  });

  it('compile', { timeout: COMPILE_MS }, async () => {
    const config = { extends: '../../tsconfig.json', compilerOptions: { declaration: false }, include: ['*.ts'] };
    writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(config));
    const compiler = path.join(ROOT, 'node_modules/typescript/lib/tsc.js');
    const result = await promisify(execFile)(
      process.execPath,
      [compiler, '-p', folder, '--allowImportingTsExtensions'],
      {
        timeout: COMPILE_MS,
      },
    ).catch((error: { stdout: string }) => error);
    expect(result.stdout).toBe('');
  });
});
