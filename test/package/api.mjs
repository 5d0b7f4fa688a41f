// Compares the declarations that the package's entries export, and those they refer to, with api.md. Needs the build. Part of `npm run check`.
//   node test/package/api.mjs [--write]
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import extractor from '@microsoft/api-extractor';

const { Extractor, ExtractorConfig } = extractor;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const REPORT = path.join(ROOT, 'test/package/api.md');
const manifest = path.join(ROOT, 'package.json');

mkdirSync(path.join(ROOT, '.millrace'), { recursive: true });
const folder = mkdtempSync(path.join(ROOT, '.millrace', 'api-'));
try {
  const made = report();
  if (process.argv.includes('--write')) writeFileSync(REPORT, made);
  else if (made !== readFileSync(REPORT, 'utf8')) {
    process.stderr.write(
      'The public interface differs from test/package/api.md. Review the change: node test/package/api.mjs --write && git diff test/package/api.md\n',
    );
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}

/** One report of all entries, so that what they share is in it once; an entry’s subpath is a namespace. */
function report() {
  const { exports: entries } = JSON.parse(readFileSync(manifest, 'utf8'));
  const lines = Object.entries(entries).flatMap(([entry, { types }]) => {
    if (types === undefined) return [];
    const name = entry === '.' ? '*' : `* as ${entry.slice(2)}`;
    return [`export ${name} from '${path.posix.join('../..', types.replace(/\.d\.ts$/, '.js'))}';\n`];
  });
  writeFileSync(path.join(folder, 'millrace.d.ts'), lines.join(''));
  const off = { logLevel: 'none' };
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: ROOT,
      mainEntryPointFilePath: path.join(folder, 'millrace.d.ts'),
      compiler: { tsconfigFilePath: path.join(ROOT, 'tsconfig.json') },
      apiReport: {
        enabled: true,
        reportFolder: folder,
        reportTempFolder: path.join(folder, 'temporary'),
        reportFileName: 'millrace',
        includeForgottenExports: true,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: off },
        extractorMessageReporting: { default: off },
        tsdocMessageReporting: { default: off },
      },
    },
    packageJsonFullPath: manifest,
  });
  const messageCallback = (message) => {
    message.handled = message.logLevel !== 'error';
  };
  const { succeeded } = Extractor.invoke(config, { localBuild: true, messageCallback });
  if (!succeeded) throw new Error('API Extractor failed');
  const made = readFileSync(path.join(folder, 'millrace.api.md'), 'utf8');
  return made.replaceAll('\r\n', '\n');
}
