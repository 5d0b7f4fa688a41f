import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { RECIPE } from '../../../../../deploy/local/stack/paths.js';
import { readManifest, verifyWeights } from '../../../../../deploy/local/stack/weights.js';

const folder = mkdtempSync(path.join(tmpdir(), 'weights-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** sha256 of "abc", the standard's own example. */
const ABC = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
const file = (sha256: string, bytes = 3) => [{ model: 'm', file: 'abc.bin', bytes, sha256 }];

describe('weights', () => {
  it('pass when size and hash agree, and are named when they do not', async () => {
    await expect(verifyWeights(folder, file(ABC))).rejects.toThrow('abc.bin does not exist');
    writeFileSync(path.join(folder, 'abc.bin'), 'abc');
    await expect(verifyWeights(folder, file(ABC))).resolves.toBeUndefined();
    await expect(verifyWeights(folder, file(ABC, 4))).rejects.toThrow('abc.bin has 3 bytes, not 4');
    await expect(verifyWeights(folder, file(ABC.replace('b', 'c')))).rejects.toThrow('abc.bin has sha256 ba7816bf');
  });

  it('are the ones whose fingerprint each Triton model shows', () => {
    const manifest = readManifest(path.join(RECIPE, 'weights.json'));
    for (const [model, weight] of [
      ['whisper', 'model.bin'],
      ['minilm', 'model.onnx'],
      ['tts', 'hibari.onnx'],
    ] as const) {
      const pinned = manifest.find((entry) => entry.model === model && path.basename(entry.file) === weight);
      const config = readFileSync(path.join(RECIPE, 'models', model, 'config.pbtxt'), 'utf8');
      const shown = /key: "fingerprint" value: \{ string_value: "([0-9a-f]+)" \}/.exec(config)?.[1];
      expect(shown).toBe(pinned?.sha256.slice(0, 16));
    }
  });
});
