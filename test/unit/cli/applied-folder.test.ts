import {
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { writeApplied } from '../../../cli/applied-folder.js';

const root = mkdtempSync(path.join(tmpdir(), 'millrace-applied-'));
const repository = path.join(root, 'models');
function made(name: string, text: string): void {
  mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  writeFileSync(path.join(root, name), text);
}
made('models/whisper/config.pbtxt', 'the author’s');
made('models/whisper/1/model.onnx', 'weights');
made('models/part/config.pbtxt', 'the author’s');

const script = { path: 'commands/triton.sh', text: 'tritonserver' };
const config = (text: string, model = 'whisper') => ({ path: `triton/triton/${model}/config.pbtxt`, text });
const part = { path: 'triton/triton/part', model: 'part' };

it('is written over by another call for the same version, and the servers in it keep their folders', () => {
  const folder = path.join(root, 'kept');
  const at = (name: string) => path.join(folder, name);
  writeApplied(folder, { files: [script, config('one')], linked: [part] }, repository);
  // As the folder in which a server runs: what is removed has no name any more.
  const open = ['.', 'triton', 'triton/triton', 'triton/triton/whisper'].map((name) => openSync(at(name), 'r'));
  made('kept/nohup.out', 'what the server says');
  writeApplied(folder, { files: [script, config('two')], linked: [part] }, repository);
  for (const each of open) expect(fstatSync(each).nlink).toBeGreaterThan(0);
  expect(readFileSync(at('triton/triton/whisper/config.pbtxt'), 'utf8')).toBe('two');
  expect(readFileSync(at('triton/triton/whisper/1/model.onnx'), 'utf8')).toBe('weights');
  expect(readdirSync(at('triton/triton/whisper')).sort()).toEqual(['1', 'config.pbtxt']);
  expect(lstatSync(at('commands/triton.sh')).mode & 0o100).toBe(0o100);
  expect(readdirSync(folder).sort()).toEqual(['commands', 'nohup.out', 'triton']);
  // A call that names no repository does not know the links, and a Triton that still loads needs them.
  writeApplied(folder, { files: [script, config('three')], linked: [] }, undefined);
  expect(readFileSync(at('triton/triton/whisper/1/model.onnx'), 'utf8')).toBe('weights');
  expect(readdirSync(at('triton/triton')).sort()).toEqual(['part', 'whisper']);
});

it('has nothing left of a call with other options, and the author’s models stay as they are', () => {
  const folder = path.join(root, 'changed');
  const at = (name: string) => path.join(folder, name);
  const before = [{ path: 'commands/gone.sh', text: 'vllm' }, config('one'), config('two', 'other')];
  made('models/other/config.pbtxt', 'the author’s');
  writeApplied(folder, { files: before, linked: [part] }, repository);
  // What was linked as a whole has a configuration of its own now.
  writeApplied(folder, { files: [script, config('three'), config('four', 'part')], linked: [] }, repository);
  expect(readdirSync(at('commands'))).toEqual(['triton.sh']);
  expect(existsSync(at('triton/triton/other'))).toBe(false);
  expect(readFileSync(at('triton/triton/part/config.pbtxt'), 'utf8')).toBe('four');
  expect(readFileSync(path.join(repository, 'part/config.pbtxt'), 'utf8')).toBe('the author’s');
});
