import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { writeJson } from '../../../runtime/json-file.js';

const folder = () => mkdtempSync(path.join(tmpdir(), 'millrace-'));
const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8);

test('a new file is for its owner alone', () => {
  const file = path.join(folder(), 'in', 'keys.json');
  writeJson(file, { keys: [] });
  expect(modeOf(file)).toBe('600');
  expect(readdirSync(path.dirname(file))).toEqual(['keys.json']);
});

test('a replaced file keeps its mode: a gateway in its group reads the new keys', () => {
  const file = path.join(folder(), 'keys.json');
  writeJson(file, 1);
  chmodSync(file, 0o640);
  writeJson(file, 2);
  expect(modeOf(file)).toBe('640');
  expect(readFileSync(file, 'utf8')).toBe('2\n');
});

test('a file that root replaces keeps its owner', () => {
  const file = path.join(folder(), 'keys.json');
  writeJson(file, 1);
  // Others than root can give it to nobody else.
  const { uid, gid } = process.getuid?.() === 0 ? { uid: 1_234, gid: 5_678 } : statSync(file);
  chownSync(file, uid, gid);
  writeJson(file, 2);
  expect(statSync(file)).toMatchObject({ uid, gid });
  expect(modeOf(file)).toBe('600');
});

test('a link goes on leading to the file, which is replaced', () => {
  const [at, named] = [path.join(folder(), 'keys.json'), path.join(folder(), 'keys.json')];
  writeJson(at, 1);
  symlinkSync(at, named);
  writeJson(named, 2);
  expect(lstatSync(named).isSymbolicLink()).toBe(true);
  expect(readFileSync(at, 'utf8')).toBe('2\n');
});

test('where the file cannot be replaced no draft is left', () => {
  const file = path.join(folder(), 'keys.json');
  const circle: { itself?: unknown } = {};
  circle.itself = circle;
  expect(() => writeJson(file, circle)).toThrow();
  expect(readdirSync(path.dirname(file))).toEqual([]);
});

test('the draft of another process is left alone, which may have the same number in another container', () => {
  const file = path.join(folder(), 'keys.json');
  const others = `${file}.${process.pid}.tmp`;
  writeFileSync(others, 'of another');
  writeJson(file, 1);
  expect(readFileSync(others, 'utf8')).toBe('of another');
  expect(readdirSync(path.dirname(file)).sort()).toEqual(['keys.json', path.basename(others)]);
});
