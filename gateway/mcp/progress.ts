import type { RunEvent } from '../../pipelines/run/index.js';

/** The progress message of an event, if it has one. The total is unknown: a plan has branches and loops. */
export function messageOf(event: RunEvent): string | undefined {
  if (event.type === 'events.lost') return undefined;
  const { path } = event;
  switch (event.type) {
    case 'stage.started':
      return `${path} started${event.attempt > 1 ? `, attempt ${event.attempt}` : ''}`;
    case 'stage.finished':
      return `${path} finished`;
    case 'stage.failed':
      return `${path} failed: ${event.code}`;
    case 'stage.waiting_for':
      return `${path} waits for ${event.model}`;
    case 'stage.waiting':
      return `${path} waits for a person: ${event.subject}`;
    case 'stage.decided':
      return `${path} was ${event.approved ? 'approved' : 'rejected'}`;
    default:
      return undefined;
  }
}
