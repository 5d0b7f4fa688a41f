import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { chooseFfmpeg, embeddedFfmpeg } from '../../../workers/ffmpeg.js';
import { readSettings } from '../../../workers/settings.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'millrace-ffmpeg-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const program = (file: string, mode = 0o755) => {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, '#!/bin/sh\n', { mode });
  return file;
};
const choose = (MILLRACE_FFMPEG = '') =>
  chooseFfmpeg(
    readSettings({ MILLRACE_HOME: root, MILLRACE_FFMPEG }),
    [`${root}/first`, `${root}/second`].join(path.delimiter),
  );
const venv = () => path.join(root, 'venv');

test('the setting comes first, then PATH, then the embedded one', () => {
  const embedded = program(embeddedFfmpeg(venv()));
  expect(choose()).toEqual({ program: embedded, why: 'the embedded one: there is none on PATH' });
  const system = program(`${root}/second/ffmpeg`);
  expect(choose()).toEqual({ program: system, why: 'the first on PATH' });
  expect(choose('ffmpeg-7')).toEqual({ program: 'ffmpeg-7', why: 'set by MILLRACE_FFMPEG' });
});

test('what cannot be run is passed over', () => {
  const embedded = program(embeddedFfmpeg(venv()));
  program(`${root}/first/ffmpeg`, 0o644);
  mkdirSync(`${root}/second/ffmpeg`, { recursive: true });
  expect(choose().program).toBe(embedded);
});

test('where there is none the bare name is left, and the places are named', () => {
  expect(choose()).toEqual({ program: 'ffmpeg', why: expect.stringContaining(embeddedFfmpeg(venv())) });
});
