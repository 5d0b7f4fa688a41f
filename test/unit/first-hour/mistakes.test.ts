import { execFile } from 'node:child_process';
import { mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, inspect, promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { CodeFunctions } from '../../../activities/stage/code-functions.js';
import { serveStage } from '../../../activities/stage/serve-stage.js';
import type { Attempt, ServingParts } from '../../../activities/stage/serving.js';
import { findPipeline } from '../../../cli/find-pipeline.js';
import { validate } from '../../../cli/validate.js';
import { MillraceError } from '../../../pipelines/errors.js';
import { eq, pipeline, text } from '../../../pipelines/index.js';
import { SOURCE_WARNINGS } from '../../../pipelines/inspect/index.js';
import type { Problem } from '../../../pipelines/run/document.js';
import type { StageCall } from '../../../pipelines/run/index.js';
import { loadError } from '../../../workers/load-error.js';
import { loadModels } from '../../../workers/models.js';
import { loadDeployment } from '../../../workers/pipelines.js';
import { readSettings } from '../../../workers/settings.js';
import { testSettings } from '../../support/settings.js';
import { type TestGateway, testGateway } from '../../support/test-gateway.js';
import { MISTAKES } from './definitions.js';
import { type Mistake, prelude, sourceOf } from './mistake.js';
import { type Row, renderMistakes } from './page.js';
import { type FailingFunction, FUNCTIONS, moduleOf, REQUESTS } from './runs.js';

/*
 * What an author or caller reads for the mistakes of a first hour: each message is exact. The guide page is made of the
 * same table.
 */

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const PRELUDE = prelude(path.join(ROOT, 'pipelines/index.ts'), createRequire(import.meta.url).resolve('zod'));
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-mistakes-'));
const settings = testSettings({ MILLRACE_PIPELINES: '' });

function written(source: string, name = 'pipelines.ts', inside = folder): string {
  const file = path.join(mkdtempSync(path.join(inside, 'm-')), name);
  writeFileSync(file, `${PRELUDE}\n${source}\n`);
  return file;
}

/** Without the temporary folder, and with lines only: columns are those of the test runner's transform. */
const plain = (text: string): string =>
  text
    .replace(/[^\s(:"]*\/m-\w+\//g, '')
    .replaceAll(process.cwd(), '/home/me/project')
    .replace(/(pipelines\.[cm]?[jt]s:\d+):\d+/g, '$1');

async function refusal(act: () => unknown): Promise<MillraceError> {
  try {
    await act();
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}
const spelled = ({ code, message }: MillraceError): string => `${code}: ${plain(message)}`;

async function validated(module: string): Promise<readonly string[]> {
  let out = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  // Each finding in one line.
  const { isTTY, columns } = process.stdout;
  Object.assign(process.stdout, { isTTY: true, columns: 10_000 });
  await validate(settings, module, {}).finally(() => vi.restoreAllMocks());
  Object.assign(process.stdout, { isTTY, columns });
  process.exitCode = 0;
  return plain(out).trimEnd().split('\n');
}

/** What Node itself reports for a module that it cannot load. */
async function nodeError(source: string): Promise<unknown> {
  const file = path.join(mkdtempSync(path.join(folder, 'm-')), 'pipelines.mjs');
  writeFileSync(file, source);
  const print =
    'import(process.argv[1]).catch(({ name, message, stack }) => console.log(JSON.stringify({ name, message, stack })))';
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', print, file]);
  const { name, message, stack } = JSON.parse(stdout) as Error;
  const made = name === 'SyntaxError' ? new SyntaxError(message) : new Error(message);
  throw await loadError(Object.assign(made, { name, stack }), file);
}

const modelsFile = (text: string) => {
  const file = path.join(mkdtempSync(path.join(folder, 'm-')), 'models.json');
  writeFileSync(file, text);
  return loadModels(testSettings({ MILLRACE_MODELS: file }));
};
const pool = {
  connector: 'openai',
  model: 'm',
  kind: 'chat',
  endpoints: [{ url: 'http://127.0.0.1:1/v1', device: 'gpu0' }],
};

interface WrongCommand {
  readonly mistake: string;
  readonly act: () => Promise<unknown>;
  readonly says: string;
}

const LOADING: readonly WrongCommand[] = [
  {
    mistake: 'a misspelled file',
    act: () => loadDeployment(readSettings({}), written('').replace('pipelines.ts', 'piplines.ts')),
    says: 'INVALID_SETTING: MILLRACE_PIPELINES: there is no file piplines.ts (relative to /home/me/project); did you mean "pipelines.ts"?',
  },
  {
    mistake: 'a syntax error',
    act: () => nodeError('const a = 1;\nexport const p = ;\n'),
    says: "INVALID_SETTING: MILLRACE_PIPELINES: cannot load pipelines.mjs: SyntaxError: Unexpected token ';' (pipelines.mjs:2)",
  },
  {
    mistake: 'an error while the module is loaded',
    act: () => nodeError('const config = undefined;\nexport const p = config.name;\n'),
    says: "INVALID_SETTING: MILLRACE_PIPELINES: cannot load pipelines.mjs: TypeError: Cannot read properties of undefined (reading 'name') (pipelines.mjs:2)",
  },
  {
    mistake: 'an import that does not exist',
    act: () => nodeError("import { zod } from 'node:path';\n"),
    says: "INVALID_SETTING: MILLRACE_PIPELINES: cannot load pipelines.mjs: SyntaxError: The requested module 'node:path' does not provide an export named 'zod' (pipelines.mjs:1)",
  },
  {
    mistake: 'a package that is not installed',
    act: () => nodeError("import 'no-such-package';\n"),
    says: "INVALID_SETTING: MILLRACE_PIPELINES: cannot load pipelines.mjs: Cannot find package 'no-such-package' imported from pipelines.mjs",
  },
  {
    mistake: 'a module without pipelines',
    act: () => loadDeployment(readSettings({}), written('export const a = 1;')),
    says: 'INVALID_SETTING: MILLRACE_PIPELINES: pipelines.ts exports no pipeline: export what pipeline() returns, by any name or in a list',
  },
  {
    mistake: 'two pipelines of one name',
    act: () =>
      loadDeployment(
        readSettings({}),
        written("export const [a, b] = ['x', 'y'].map((x) => pipeline('p', { input: z.object({}) }, () => ({ x })));"),
      ),
    says: 'INVALID_SETTING: MILLRACE_PIPELINES: pipelines.ts exports two pipelines named "p": rename one of them',
  },
  {
    mistake: 'two functions of one name',
    act: async () => {
      const { functions } = await loadDeployment(
        readSettings({}),
        written(
          "const one = () => code('same', inText, (i) => i);\nexport const all = [one(), one()];\nexport const p = pipeline('p', { input: z.object({}) }, () => ({}));",
        ),
      );
      new CodeFunctions(functions);
    },
    says: 'INVALID_PIPELINE: two different code functions are named "same"',
  },
  {
    mistake: 'an unknown pipeline at the command line',
    act: () => findPipeline(settings, 'voice-asistant'),
    says: 'INVALID_INPUT: no pipeline is named "voice-asistant"; known: voice-assistant, assistant, meeting-minutes, diarised-minutes, captioned-video, receipt-reader, moderated-chat, rag-answer, ingest, voice-agent, support-agent, chat, embed, transcribe, speak; did you mean "voice-assistant"?',
  },
  {
    mistake: 'a missing models file',
    act: () => loadModels(testSettings({ MILLRACE_MODELS: '/nowhere/models.json' })),
    says: "INVALID_SETTING: MILLRACE_MODELS: cannot read /nowhere/models.json: ENOENT: no such file or directory, open '/nowhere/models.json'",
  },
  {
    mistake: 'a models file that is not JSON',
    act: () => modelsFile('{ assistant: 1 }'),
    says: "INVALID_SETTING: MILLRACE_MODELS: cannot read models.json: Expected property name or '}' in JSON at position 2",
  },
  {
    mistake: 'a misspelled field in the models file',
    act: () => modelsFile(JSON.stringify({ assistant: { ...pool, endpoint: [] } })),
    says: 'INVALID_SETTING: models.json: assistant: Unrecognized key: "endpoint"; did you mean "endpoints"?',
  },
  {
    mistake: 'a misspelled kind in the models file',
    act: () => modelsFile(JSON.stringify({ assistant: { ...pool, kind: 'chatt' } })),
    says: 'INVALID_SETTING: models.json: assistant.kind: must be one of transcribe, embed, chat, synthesize, classify, detect, generate, infer, rerank, http, a2a, or a kind made with defineKind; did you mean "chat"?',
  },
];

const rows: readonly Mistake[] = MISTAKES.flatMap(([, each]) => each);

describe('the compiler', () => {
  const messages = new Map<string, string>();
  beforeAll(async () => {
    const project = mkdtempSync(path.join(folder, 'types-'));
    const compilerOptions = {
      ...{ noEmit: true, allowImportingTsExtensions: true, noUnusedLocals: false, noUnusedParameters: false },
      ...{ declaration: false, sourceMap: false, typeRoots: [path.join(ROOT, 'node_modules/@types')] },
    };
    const config = { extends: path.join(ROOT, 'tsconfig.json'), compilerOptions, include: ['*.ts'] };
    writeFileSync(path.join(project, 'tsconfig.json'), JSON.stringify(config));
    writeFileSync(path.join(project, 'package.json'), JSON.stringify({ type: 'module' }));
    // By name: by its path it would be another copy, whose types the compiler compares with those of the sources for minutes.
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(project, 'node_modules'));
    const named = prelude(path.join(ROOT, 'pipelines/index.ts'), 'zod');
    for (const [i, row] of rows.entries()) {
      writeFileSync(path.join(project, `row${i}.ts`), `${named}\n${sourceOf(row)}\n`);
    }
    const compiler = path.join(ROOT, 'node_modules/typescript/lib/tsc.js');
    const { stdout } = await promisify(execFile)(process.execPath, [compiler, '-p', project], {
      maxBuffer: 2 ** 24,
      timeout: 150_000,
      killSignal: 'SIGKILL',
    }).catch((error: { stdout: string }) => error);
    for (const block of stdout.split(/\n(?=\S)/)) {
      const [, i] = /row(\d+)\.ts\(/.exec(block) ?? [];
      const { mistake } = rows[Number(i)] ?? { mistake: block };
      messages.set(mistake, `${messages.get(mistake) ?? ''}${block}\n`);
    }
  }, 180_000);

  it.each(rows.filter(({ types }) => types !== undefined))('refuses $mistake', ({ mistake, types }) => {
    expect(messages.get(mistake)).toContain(types);
  });

  it('accepts the others: only a definition, or a scan of its sources, can find them', () => {
    const refused = [...messages.keys()].filter(
      (each) => rows.find(({ mistake }) => mistake === each)?.types === undefined,
    );
    expect(refused.map((mistake) => messages.get(mistake))).toEqual([]);
  });
});

describe('a definition', () => {
  it.each(rows.filter(({ definition }) => definition !== undefined))('refuses $mistake', async (row) => {
    const got = spelled(await refusal(() => loadDeployment(readSettings({}), written(sourceOf(row)))));
    expect(got).toBe(row.definition);
  });
});

describe('millrace validate', () => {
  it.each(rows.filter(({ validate: line }) => line !== undefined))('finds $mistake', async (row) => {
    const lines = await validated(written(sourceOf(row)));
    expect(lines).toContain(row.validate);
  });

  it('is tested for every warning of sources', () => {
    const { NOT_SCANNED: _, ...codes } = SOURCE_WARNINGS;
    for (const code of Object.keys(codes))
      expect(
        rows.some((row) => row.validate?.includes(code)),
        code,
      ).toBe(true);
  });

  it('lets every other mistake be found at load', () => {
    const silent = rows.filter((row) => row.types === undefined && row.definition === undefined && !row.validate);
    expect(silent).toEqual([]);
  });
});

describe('loading a module', () => {
  it.each(LOADING)('$mistake', async (row) => {
    const got = spelled(await refusal(row.act));
    expect(got).toBe(row.says);
  });

  it.each([
    ['a default export', 'export default pipeline("p", { input: z.object({}) }, () => ({}));'],
    ['a list', 'export const all = [pipeline("p", { input: z.object({}) }, () => ({}))];'],
    ['fields of a default export', 'export default { p: pipeline("p", { input: z.object({}) }, () => ({})) };'],
  ])('takes pipelines from %s', async (_, source) => {
    const { pipelines } = await loadDeployment(readSettings({}), written(source));
    expect(pipelines.map(({ name }) => name)).toEqual(['p']);
  });
});

describe('a function of a stage', () => {
  it.each(FUNCTIONS)('fails: $mistake', async (row) => {
    const { code, message, details } = await failureOf(row);
    expect({ says: `${code}: ${plain(message)}`, at: details.at && plain(details.at) }).toEqual({
      says: row.says,
      at: row.at,
    });
    if (row.at === undefined) return;
    expect(details.stack?.split('\n')[1]).toMatch(/^ {4}at .*pipelines\.ts:\d+:\d+\)?$/);
    expect(details.stack).not.toContain('node_modules');
    expect(details.stack).not.toContain(folder);
  });
});

async function failureOf(row: FailingFunction): Promise<MillraceError> {
  const file = written(`${moduleOf(row)}\nexport const p = pipeline('q', { input: z.object({}) }, () => ({}));`);
  const { functions } = await loadDeployment(readSettings({}), file);
  const parts = {
    code: new CodeFunctions(functions),
    conform: async (_: unknown, input: unknown) => input,
    artifactsOf: () => ({}),
  };
  const call = { kind: 'code', stage: 'a', model: 'work', with: {}, tenant: 'default' } as Partial<StageCall>;
  const attempt: Partial<Attempt> = { signal: new AbortController().signal, run: 'r', attempt: 1 };
  const sources = path.dirname(file);
  const served = () =>
    serveStage({ ...parts, sources } as unknown as ServingParts, { text: 'x' }, call as StageCall, attempt as Attempt);
  return await refusal(served);
}

describe('a request', () => {
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await testGateway();
  });
  afterAll(() => gateway.close());

  it.each(REQUESTS)('is refused: $mistake', async ({ pipeline = 'greet', body, type = 'application/json', says }) => {
    const response = await gateway.app.inject({
      method: 'POST',
      url: `/v1/pipelines/${pipeline}/runs`,
      headers: { 'content-type': type },
      ...(body !== undefined && { payload: body }),
    });
    const { status, code, detail } = response.json<Problem>();
    expect(`${status} ${code}: ${detail}`).toBe(says);
  });
});

describe('a reference', () => {
  it('is printed with its path, or its expression', () => {
    const seen: string[] = [];
    pipeline('p', { input: z.object({ n: z.number(), q: z.string() }) }, ({ input }) => {
      for (const each of [input, input.n, eq(input.n, 1), text`Say ${input.q}!`]) seen.push(inspect(each));
      seen.push(inspect({ deep: { n: input.n } }), format('%j %s', 1, [input.q]));
      return {};
    });
    expect(seen).toEqual([
      'Ref(input)',
      'Ref(input.n)',
      'Ref(eq(input.n, 1))',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: what is printed is source
      'Ref(text`Say ${input.q}!`)',
      '{ deep: { n: Ref(input.n) } }',
      '1 [ Ref(input.q) ]',
    ]);
  });
});

it('the guide has the table', async () => {
  const by = (row: Mistake) => [
    ...(row.types === undefined ? [] : ['compiler']),
    ...(row.definition === undefined ? [] : ['load']),
    ...(row.validate === undefined ? [] : ['validate']),
  ];
  const definitions = MISTAKES.map(([section, each]): [string, Row[]] => [
    section,
    each.map((row) => ({
      mistake: row.mistake,
      by: by(row),
      says: row.definition ?? row.validate ?? row.types ?? '',
    })),
  ]);
  const sections: [string, Row[]][] = [
    ...definitions,
    ['Modules, models and commands', LOADING.map(({ mistake, says }) => ({ mistake, by: ['load'], says }))],
    [
      'Functions of stages',
      FUNCTIONS.map(({ mistake, says, at }) => ({ mistake, by: ['run'], says: at ? `${says} (${at})` : says })),
    ],
    ['Requests', REQUESTS.map(({ mistake, says }) => ({ mistake, by: ['HTTP'], says }))],
  ];
  await expect(renderMistakes(sections)).toMatchFileSnapshot(path.join(ROOT, 'docs/guides/common-mistakes.md'));
});
