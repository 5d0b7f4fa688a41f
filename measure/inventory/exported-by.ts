import { exchange } from '../../activities/connectors/exchange.js';
import { messageOf } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import { limited } from '../../runtime/limited.js';
import { type ExportedDevice, exportedDevices } from './device-exporters.js';

/** Exporters answer within a second. */
const ANSWER_MS = 20_000;

/** The devices that an exporter of metrics lists. Throws `INVALID_INVENTORY` if it does not answer, or lists none. */
export async function exportedBy(url: string): Promise<readonly ExportedDevice[]> {
  const wrong = (message: string) => invalidFields('INVALID_INVENTORY', [{ field: '--exporter', message }]);
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) throw wrong(`${url} is no URL of an exporter’s metrics`);
  const answer = await limited(ANSWER_MS, new AbortController().signal, (signal) =>
    exchange(fetch, { url, method: 'GET' }, signal),
  ).catch((error: unknown) => {
    throw wrong(`${url} does not answer: ${messageOf(error)}`);
  });
  if (answer.status !== 200) throw wrong(`${url} answers with HTTP ${answer.status}`);
  return exportedDevices(answer.body.toString('utf8'), url);
}
