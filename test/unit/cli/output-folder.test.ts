import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { outputFolder, writeReport } from '../../../cli/output-folder.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'millrace-output-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (...names: readonly string[]) => path.join(folder, 'out', ...names);
const there = (...names: readonly string[]) => existsSync(at(...names));
const file = (name: string) => ({ path: name, text: name });
const weights = (name: string) => {
  mkdirSync(at('weights'), { recursive: true });
  writeFileSync(at('weights', name), name);
  return at('weights', name);
};

describe('an output folder', () => {
  it('must be empty, unless its files may be replaced', () => {
    expect(outputFolder(at(), false)).toBe(at());
    mkdirSync(at());
    expect(outputFolder(at(), undefined)).toBe(at());
    writeFileSync(at('a'), '');
    expect(() => outputFolder(at(), undefined)).toThrow('is not empty');
    expect(outputFolder(at(), true)).toBe(at());
  });

  it('loses what the report before has listed and the new one has not, and nothing else', () => {
    const [old, kept, input] = [weights('old.onnx'), weights('kept.onnx'), weights('input.onnx')];
    writeReport(
      at(),
      { first: 1 },
      [file('profiles/m.a.cpu.json'), file('profiles/m.b.cpu.json'), file('triton/m-a/config.pbtxt'), file('run.sh')],
      { made: [old, kept, input] },
    );
    // Python writes its own files beside a model, and the author beside a profile.
    mkdirSync(at('triton/m-a/1/__pycache__'), { recursive: true });
    writeFileSync(at('profiles/mine.json'), '');
    const files = writeReport(at(), { second: 2 }, [file('profiles/m.b.cpu.json'), file('triton/m-b/config.pbtxt')], {
      ...{ made: [kept, kept], inUse: [input] },
    });
    expect(files).toEqual([
      ...['profiles/m.b.cpu.json', 'triton/m-b/config.pbtxt', 'weights/kept.onnx', 'report.json'],
    ]);
    expect(readdirSync(at('profiles')).sort()).toEqual(['m.b.cpu.json', 'mine.json']);
    expect(readdirSync(at('triton'))).toEqual(['m-b']);
    expect(readdirSync(at('weights')).sort()).toEqual(['input.onnx', 'kept.onnx']);
    expect(there('run.sh')).toBe(false);
    expect(JSON.parse(readFileSync(at('report.json'), 'utf8'))).toEqual({ second: 2, files });
  });

  it('removes nothing outside of it, whatever its report says', () => {
    mkdirSync(at());
    writeFileSync(path.join(folder, 'outside'), '');
    writeFileSync(at('report.json'), JSON.stringify({ files: ['../outside', `${folder}/outside`, '.', ''] }));
    writeReport(at(), {}, [file('a')]);
    expect(existsSync(path.join(folder, 'outside'))).toBe(true);
    writeFileSync(at('report.json'), 'not json');
    writeReport(at(), {}, [file('b')]);
    expect(there('a') && there('b')).toBe(true);
  });
});
