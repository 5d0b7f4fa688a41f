import { limited } from '../../runtime/limited.js';
import { connectorsOf } from '../../workers/connectors.js';
import { loadModels } from '../../workers/models.js';
import type { Settings } from '../../workers/settings.js';
import { modelsSource } from '../models-source.js';
import { artifactsCheck, ffmpegCheck } from './files-checks.js';
import { type Check, errorText, type Finding, fail } from './finding.js';
import { issuerChecks } from './issuer-check.js';
import { CHECK_MS, FILE_MS } from './limits.js';
import { pipelinesCheck } from './pipelines-check.js';
import { poolChecks } from './pools-check.js';
import { redactor } from './redact.js';
import { redisChecks } from './redis-check.js';
import { sandboxChecks } from './sandboxes-check.js';
import { checkSettings, filesCheck, gatewayCheck } from './settings-checks.js';
import { temporalCheck } from './temporal-check.js';

/**
 * Checks everything that Millrace needs: reads the files of models and sandboxes, then runs all checks concurrently, so that it returns
 * within the time of one check and one file. Never throws; findings contain no secrets of the settings.
 *
 * @param env the environment that the settings are read from
 * @param config the configuration file that the command line names
 */
export async function examine(
  env: Readonly<Record<string, string | undefined>>,
  config?: string,
): Promise<readonly Finding[]> {
  const { settings, findings } = await checkSettings(env, config);
  if (!settings) return findings;
  const [ofModels, ofSandboxes] = await Promise.all([modelChecks(settings), sandboxChecks(settings)]);
  const more = await carryOut([
    filesCheck(settings),
    gatewayCheck(settings),
    ...issuerChecks(settings),
    temporalCheck(settings),
    ...redisChecks(settings),
    ...ofModels,
    ...ofSandboxes,
    ffmpegCheck(settings),
    artifactsCheck(settings),
  ]);
  const redact = redactor(settings);
  return [...findings, ...more].map((finding) => ({
    ...finding,
    about: redact(finding.about),
    detail: redact(finding.detail),
    ...(finding.remedy !== undefined && { remedy: redact(finding.remedy) }),
  }));
}

/** The checks that need the models file; if it cannot be read in time, a failed finding. */
async function modelChecks(settings: Settings): Promise<readonly Check[]> {
  const connectors = connectorsOf(settings);
  try {
    const models = await limited(FILE_MS, new AbortController().signal, () => loadModels(settings));
    return [pipelinesCheck(settings, models, connectors), ...poolChecks(settings, models, connectors)];
  } catch (error) {
    const remedy = 'correct the file; gateway and worker do not start without it';
    const about = modelsSource(settings) ?? 'the embedded models';
    return [
      {
        id: 'settings.models',
        about,
        remedy,
        run: async () => [fail('settings.models', about, errorText(error), remedy)],
      },
    ];
  }
}

/** The checks' findings in the checks' order. A check that throws or times out is a failed finding. */
export async function carryOut(checks: readonly Check[], limitMs = CHECK_MS): Promise<readonly Finding[]> {
  const all = await Promise.all(
    checks.map(async (check) => {
      try {
        return await limited(limitMs, new AbortController().signal, (signal) => check.run(signal));
      } catch (error) {
        return [fail(check.id, check.about, errorText(error), check.remedy)];
      }
    }),
  );
  return all.flat();
}
