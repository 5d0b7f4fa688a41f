import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createCodeArtifacts, inspectorOf } from '../../media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { openFileStore, pruneArtifacts } from '../../stores/artifacts/index.js';
import { type PythonSdk, pythonSdk, runPython } from '../support/python-sdk.js';
import { address } from '../support/runs.js';
import { pieces, wavFile } from '../support/wav-samples.js';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-python-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Case {
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  readonly text: string;
}

/** The package's own tests, run once; each of them counts as a test here. */
async function ownTests(sdk: PythonSdk): Promise<{ readonly cases: readonly Case[]; readonly output: string }> {
  const report = path.join(folder, 'report.jsonl');
  const { code, stdout, stderr } = await runPython(sdk, ['-m', 'pytest', '-q', '-o', 'pythonpath='], {
    more: { PYTEST_REPORT: report, TEST_REDIS_URL: address('REDIS_URL') },
  });
  const output = `${stdout}\n${stderr}`;
  if (code !== 0 && code !== 1) return { cases: [], output };
  const lines = readFileSync(report, 'utf8').trimEnd().split('\n');
  return { cases: lines.map((line) => JSON.parse(line) as Case), output };
}

const sdk = await pythonSdk();

if (typeof sdk === 'string') {
  it('the Python package', ({ skip }) => skip(sdk));
} else {
  const { cases, output } = await ownTests(sdk);

  describe('the Python package', () => {
    it('has tests that run', () => expect(cases.length, output).toBeGreaterThan(50));

    it.each(cases.map((each) => [each.name, each] as const))('%s', (_, { outcome, text }) => {
      expect(outcome, text).toBe('passed');
    });
  });

  describe('the artifact store in both languages', async () => {
    const root = path.join(folder, 'artifacts');
    const store = await openFileStore(root);
    const media = createCodeArtifacts(store, 'acme', { mostBytes: 10_000_000 });
    const inPython = async (script: string, ...values: unknown[]) => {
      const start = 'import json, sys\nfrom millrace import *\nfrom millrace.artifact import artifact_of\n';
      const set = `store = ArtifactStore(${JSON.stringify(root)})\nown = Artifacts(store, "acme")\nvalues = json.loads(sys.argv[1])\n`;
      const { code, stdout, stderr } = await runPython(sdk, ['-c', start + set + script, JSON.stringify(values)]);
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout) as unknown;
    };

    it('Python reads what TypeScript has written, and for other tenants it does not exist', async () => {
      const written = await media.write(Buffer.from('mill'), { type: 'application/json' });
      const script = `
def failure(tenant):
    try:
        return Artifacts(store, tenant).read(artifact_of(values[0]))
    except StageError as error:
        return error.code
print(json.dumps([own.read(artifact_of(values[0])).decode(), failure("rival"), store.stat("acme", values[0]["uri"]).model_dump(by_alias=True)]))`;
      expect(await inPython(script, written)).toEqual(['mill', 'ARTIFACT_NOT_FOUND', written]);
    });

    it('TypeScript reads what Python has written, byte for byte as if it had written it itself', async () => {
      const made = (await inPython(
        'print(json.dumps([own.write(b"race", "text/plain").model_dump(by_alias=True), own.write_audio([0.5] * 800, 8000).model_dump(by_alias=True)]))',
      )) as [Artifact, Artifact];
      expect(await Promise.all(made.map(({ uri }) => store.stat('acme', uri)))).toEqual(made);
      expect(Buffer.from(await media.read(made[0])).toString()).toBe('race');
      const files = made.map(({ sha256 }) => path.join(root, 'acme', sha256.slice(0, 2), sha256));
      const before = files.map((file) => readFileSync(`${file}.json`, 'utf8'));
      const again = await media.writeAudio(new Float32Array(800).fill(0.5), 8_000);
      expect([await media.write(Buffer.from('race'), { type: 'text/plain' }), again]).toEqual(made);
      expect(files.map((file) => readFileSync(`${file}.json`, 'utf8'))).toEqual(before);
    });

    it('both admit the same bytes as audio, images and videos', async () => {
      const bytes = [
        '\0\0\0 ftypisom',
        '\0\0\0 ftypM4A ',
        '\0\0\0 ftypheic',
        '\x1aE\xdf\xa3\x9fB\x82\x84webm',
        '\x1aE\xdf\xa3\x9fB\x82\x88matroska',
        'RIFF\0\0\0\0AVI LIST',
        'RIFF\0\0\0\0WEBPVP8 ',
        'OggS',
        '%PDF-1.7',
      ].map((start) => Buffer.from(start.padEnd(80, '\0'), 'latin1'));
      const types = [
        ...['audio/mp4', 'audio/webm', 'audio/ogg', 'image/webp'],
        ...['video/mp4', 'video/webm', 'video/x-matroska', 'video/x-msvideo', 'video/quicktime'],
      ];
      const cases = types.flatMap((type) => bytes.map((each) => [type, each] as const));
      const here = await Promise.all(
        cases.map(([type, each]) =>
          media.write(each, { type }).then(
            ({ mime }) => mime,
            ({ code }: { code: string }) => code,
          ),
        ),
      );
      expect(here.filter((each) => each !== 'INVALID_MEDIA')).toHaveLength(9);
      const script = `
import base64
def written(type, data):
    try:
        return own.write(base64.b64decode(data), type).mime
    except StageError as error:
        return error.code
print(json.dumps([written(*each) for each in values]))`;
      expect(await inPython(script, ...cases.map(([type, each]) => [type, each.toString('base64')]))).toEqual(here);
    });

    it('samples are the same numbers', async () => {
      for (const encoding of ['u8', 's16', 's24', 's32', 'f32', 'f64'] as const) {
        const file = wavFile({ encoding, channels: 2, sampleRate: 22_050, seconds: 0.01 });
        const written = await store.put('acme', pieces(file, 999), inspectorOf('audio'));
        const { samples, sampleRate } = await media.readAudio(written);
        const script =
          'samples, rate = own.read_audio(artifact_of(values[0]))\nprint(json.dumps([samples.tolist(), rate]))';
        expect(await inPython(script, written), encoding).toEqual([[...samples], sampleRate]);
      }
    });

    it('what Python has written is pruned like everything else', async () => {
      const made = (await inPython('print(json.dumps(own.write(b"x" * 99, "text/plain").model_dump()))')) as Artifact;
      await pruneArtifacts(root, { before: Date.now() + 60_000, tenant: 'acme' });
      await expect(store.stat('acme', made.uri)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
    });
  });
}
