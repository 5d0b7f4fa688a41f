import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const read = (file: string) => readFileSync(new URL(`../../../../deploy/local/${file}`, import.meta.url));
const fingerprintOf = (model: string) =>
  /key: "fingerprint" value: \{ string_value: "([^"]+)" \}/.exec(read(`models/${model}/config.pbtxt`).toString())?.[1];
const { files } = JSON.parse(read('weights.json').toString()) as { files: { file: string; sha256: string }[] };
const minilm = files.find(({ file }) => file.endsWith('/model.onnx'))?.sha256.slice(0, 16);

describe('models over MiniLM’s weights', () => {
  it('moderation shows weights and prototypes in its fingerprint: new ones are another model', () => {
    const prototypes = createHash('sha256').update(read('models/moderation/1/prototypes.json')).digest('hex');
    expect(fingerprintOf('moderation')).toBe(`${minilm}-${prototypes.slice(0, 16)}`);
  });

  it('rerank shows weights and the way of scoring', () => {
    expect(fingerprintOf('rerank')).toBe(`${minilm}-maxsim-1`);
  });

  it('moderation has as many prototypes of each label, none of them twice', () => {
    const { labels, ...texts } = JSON.parse(read('models/moderation/1/prototypes.json').toString()) as {
      labels: string[];
    } & Record<string, string[]>;
    expect(labels).toEqual(['safe', 'unsafe']);
    const all = labels.map((label) => texts[label] ?? []);
    expect(new Set(all.map((each) => each.length)).size).toBe(1);
    expect(new Set(all.flat()).size).toBe(all.flat().length);
  });
});

it('ocr shows both files of weights in its fingerprint', () => {
  const hashes = ['det', 'rec'].map((part) =>
    files.find(({ file }) => file.endsWith(`/PP-OCRv6_${part}_small.onnx`))?.sha256.slice(0, 16),
  );
  expect(fingerprintOf('ocr')).toBe(hashes.join('-'));
});

it('speakers shows both files of weights in its fingerprint', () => {
  const hashes = ['/pretrained.pt', '/silero_vad_v6.onnx'].map((name) =>
    files.find(({ file }) => file.endsWith(name))?.sha256.slice(0, 16),
  );
  expect(fingerprintOf('speakers')).toBe(hashes.join('-'));
});
