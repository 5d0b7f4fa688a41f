// Clients of the field, unchanged, before a stack of real servers and a scripted model.
//   npm run test:clients              tries them
//   npm run test:clients -- --write   and writes docs/reference/agent-clients.md from the results
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
const { status } = spawnSync(
  process.execPath,
  ['deploy/local/bootstrap.mjs', 'test', '--config', 'test/clients/vitest.config.ts'],
  { cwd: root, stdio: 'inherit', env: { ...process.env, ...(values.write && { MILLRACE_WRITE_CLIENTS: '1' }) } },
);
process.exit(status ?? 1);
