import { spawnSync } from 'node:child_process';
import { expect } from 'vitest';
import type { Json } from '../../pipelines/json.js';
import { environment } from '../support/vllm.js';
import { fromSetup } from './from-setup.js';

/** Imports vLLM: 10 s on an idle machine. */
export const PYTHON_MS = 300_000;

/** What a script of test/fixtures/vllm prints, which is JSON. */
export function printedBy<T>(script: string, args: readonly string[], input?: Json, env: NodeJS.ProcessEnv = {}): T {
  const { stdout, stderr, status } = spawnSync(fromSetup('PYTHON'), [`test/fixtures/vllm/${script}`, ...args], {
    ...(input !== undefined && { input: JSON.stringify(input) }),
    env: { ...environment(), ...env },
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
    timeout: PYTHON_MS,
  });
  expect(status, stderr.slice(-4_000)).toBe(0);
  return JSON.parse(stdout) as T;
}
