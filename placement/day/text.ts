import { type PlacementDocument, placementOf, type ScheduleDocument, type ScheduledHour } from '../document/index.js';
import { percent, round, type Table } from '../explain/index.js';
import type { Inventory } from '../inventory/index.js';

/**
 * A schedule as text: what the day costs, beside one placement for all hours and beside changes for nothing, the hours, and the
 * bounds for an autoscaler. `table` lays out columns.
 *
 * @param inventory of its devices: without it, they are counted and not named by kind
 */
export function scheduleText(schedule: ScheduleDocument, inventory: Inventory | undefined, table: Table): string {
  const { hours, autoscaling, warnings } = schedule;
  const rows = hours.map((hour) => [
    hour.hour,
    round(Object.values(hour.rates).reduce((sum, rate) => sum + rate, 0)),
    devicesOf(placementOf(schedule, hour), inventory),
    hour.costPerHour.toFixed(2),
    round(hour.predicted.p95Ms),
    round(hour.predicted.p99Ms),
    changeOf(hour),
  ]);
  return [
    summary(schedule),
    table(['hour', 'runs/s', 'devices', 'cost', 'p95 ms', 'p99 ms', 'what changes'], rows),
    table(
      ['pool', 'least', 'most', 'next replica due at'],
      autoscaling.map(({ model, least, most, callsPerReplica }) => [
        model,
        least,
        most,
        callsPerReplica === null ? 'never' : `${callsPerReplica} calls in a replica`,
      ]),
    ),
    ...(warnings.length > 0 ? [['Warnings', ...warnings.map((each) => `  ${each}`)].join('\n')] : []),
  ].join('\n\n');
}

function summary({ version, hours, cost, currency, switches, switching, spotRisk, slo }: ScheduleDocument): string {
  const amount = (value: number) => `${value.toFixed(2)} ${currency}`;
  const beside = (value: number) => {
    const more = value - cost.total;
    return `${amount(value)} (${more >= 0 ? '+' : ''}${more.toFixed(2)})`;
  };
  const objectives = [
    ...(slo.p95Ms === undefined ? [] : [`, p95 <= ${slo.p95Ms} ms`]),
    ...(slo.p99Ms === undefined ? [] : [`, p99 <= ${slo.p99Ms} ms`]),
  ].join('');
  const started = hours.reduce((sum, { change }) => sum + (change?.start.length ?? 0), 0);
  const { mostSwitches } = switching;
  return [
    `Schedule ${version}: ${hours.length} hours for ${amount(cost.total)}${objectives}`,
    ...(cost.reserved > 0 ? [`Reserved      ${amount(cost.reserved)} of it, used or not`] : []),
    `Changes       ${switches}${mostSwitches === undefined ? '' : ` of at most ${mostSwitches}`}, with ${started} servers started: ${amount(cost.switching)} of it`,
    cost.onePlacement === null
      ? 'One placement no single one was found that serves all hours'
      : `One placement ${beside(cost.onePlacement)} for all hours`,
    `Free changes  ${beside(cost.hourlyOptima)}: each hour’s cheapest, a bound for these placements`,
    `Bound         ${beside(cost.bound)}: no schedule costs less`,
    ...(spotRisk === undefined
      ? []
      : [`Spot devices  any one lost is survived; two lost in the same hour: ${percent(spotRisk)} of such schedules`]),
  ].join('\n');
}

/** `2 l4, 1 a100`. */
function devicesOf(placement: PlacementDocument | undefined, inventory: Inventory | undefined): string {
  const used = Object.keys(placement?.predicted.devices ?? {});
  if (inventory === undefined) return `${used.length}`;
  const counts = new Map<string, number>();
  for (const id of used) {
    const kind = inventory.devices.find((device) => device.id === id)?.kind ?? 'unknown';
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ');
}

/** `+2 tts, -1 whisper`: servers to start and to stop. */
function changeOf({ change }: ScheduledHour): string {
  const counted = (servers: readonly { readonly model: string }[], sign: string) => {
    const models = [...new Set(servers.map(({ model }) => model))];
    return models.map((each) => `${sign}${servers.filter(({ model }) => model === each).length} ${each}`);
  };
  if (change === null) return '';
  return [...counted(change.start, '+'), ...counted(change.stop, '-')].join(', ');
}
