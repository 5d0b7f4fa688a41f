import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { down, up } from '../../../../../deploy/local/stack/index.js';
import { PROC, requireProc } from '../../../../../deploy/local/stack/require-proc.js';
import { testSettings } from '../../../../support/settings.js';

const home = mkdtempSync(path.join(tmpdir(), 'no-proc-'));
afterAll(() => rmSync(home, { recursive: true }));

it('up and down say what to run instead where the system does not list its processes', async () => {
  const settings = testSettings({ MILLRACE_HOME: home });
  const unsupported = {
    code: 'STACK_UNSUPPORTED',
    message: expect.stringMatching(/TEMPORAL_ADDRESS.*"millrace worker" and "millrace gateway"/),
  };
  const proc = path.join(home, 'proc');
  await expect(up({ settings, parts: [], proc })).rejects.toMatchObject(unsupported);
  await expect(down(settings, proc)).rejects.toMatchObject(unsupported);
});

it.skipIf(process.platform !== 'linux')('Linux lists them', () => {
  expect(() => requireProc(PROC)).not.toThrow();
});
