// The contract suite on serving systems that install by pip, each in a venv of its own.
//   npm run test:servers                        all
//   npm run test:servers -- --only kserve       one; repeatable
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const names = readdirSync(path.join(root, 'test/servers'))
  .filter((file) => file.endsWith('.test.ts'))
  .map((file) => file.replace('.test.ts', ''));
const { values } = parseArgs({ options: { only: { type: 'string', multiple: true, default: [] } } });
const unknown = values.only.find((name) => !names.includes(name));
if (unknown !== undefined) {
  process.stderr.write(`there is no server "${unknown}" (there are: ${names.join(', ')})\n`);
  process.exit(2);
}
const files = values.only.map((name) => `test/servers/${name}.test.ts`);
const args = ['deploy/local/bootstrap.mjs', 'test', '--config', 'test/servers/vitest.config.ts', ...files];
const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
process.exit(status ?? 1);
