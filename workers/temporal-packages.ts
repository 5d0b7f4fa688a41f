import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { invalidFields } from '../pipelines/invalid-fields.js';

/** Temporal's packages that Millrace uses: they are published together and work together only in one release. */
const PACKAGES = ['worker', 'client', 'common', 'activity', 'workflow', 'envconfig', 'nexus'].map(
  (name) => `@temporalio/${name}`,
);

/**
 * Throws `INVALID_SETTING` unless Temporal's packages have one release. They are peers, so that an app and Millrace share
 * one copy of each; npm mixes releases if the app lists some of them only.
 */
export function requireOneTemporal(versionOf = installedVersion): void {
  const [worker = '', ...others] = PACKAGES;
  const wanted = versionOf(worker);
  const mixed = others.map((name) => ({ name, version: versionOf(name) })).filter(({ version }) => version !== wanted);
  if (mixed.length === 0) return;
  const remedy = `install one release of all: npm install ${PACKAGES.map((name) => `${name}@${wanted}`).join(' ')}`;
  throw invalidFields(
    'INVALID_SETTING',
    mixed.map(({ name, version }) => ({
      field: name,
      message: `is ${version}, but ${worker} is ${wanted}: ${remedy}`,
    })),
  );
}

function installedVersion(name: string): string {
  const file = createRequire(import.meta.url).resolve(`${name}/package.json`);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
