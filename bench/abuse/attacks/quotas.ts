import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { CLI_MAIN } from '../../../deploy/local/stack/paths.js';
import { type Check, type Load, paced } from '../attack.js';
import { exchange, outcomeOf, POST } from '../exchange.js';
import { environment, QUOTAS } from '../settings.js';

/** A tenant's conversations, each started by an agent's run. */
export const sessions: Load = {
  name: 'sessions',
  about: `conversations beyond the quota of ${QUOTAS.sessions}`,
  must: ['507 QUOTA_EXCEEDED'],
  may: ['200'],
  async run(context) {
    const { doors, secrets, end } = context;
    const at = Date.now();
    const headers = { ...POST.headers, prefer: 'wait=30' };
    // Each is a run; the stub does not use its share of the processor.
    await paced({ everyMs: 500, atOnce: 4, most: 200 }, context, async (n) => {
      const body = JSON.stringify({ prompt: 'hello', session: `${at}-${n}` });
      const where = '/v1/pipelines/agent-a/runs';
      return outcomeOf(
        await exchange({ port: doors.http, path: where, secret: secrets.attacker, method: 'POST', headers, body, end }),
      );
    });
  },
};

/** No door accepts passages; they are added by the command line. */
export const passages: Check = {
  name: 'passages',
  about: `passages beyond the quota of ${QUOTAS.passages}`,
  must: ['507 QUOTA_EXCEEDED'],
  async answers() {
    const folder = mkdtempSync(path.join(tmpdir(), 'abuse-'));
    const file = path.join(folder, 'passages.jsonl');
    const lines = Array.from({ length: 2 * QUOTAS.passages }, (_, i) =>
      JSON.stringify({ id: `${i}`, text: 'a'.repeat(i + 1) }),
    );
    writeFileSync(file, lines.join('\n'));
    const args = [CLI_MAIN, 'index', 'put', 'filled', file, '--tenant', 'attacker', '--embedder', 'embedder'];
    try {
      await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...environment } });
      return ['taken'];
    } catch (error) {
      const { stderr = '' } = error as { stderr?: string };
      return [/QUOTA_EXCEEDED/.test(stderr) ? '507 QUOTA_EXCEEDED' : `refused otherwise: ${stderr.slice(-300)}`];
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};
