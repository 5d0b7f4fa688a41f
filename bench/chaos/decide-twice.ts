import type { RunDocument } from '../../pipelines/run/document.js';

const TAKEN = 202;

/**
 * Two people decide simultaneously and differently. Returns the accepted decisions: none while the run does not wait
 * yet, or while the server cannot tell.
 */
export async function decideTwice(base: string, run: RunDocument): Promise<boolean[]> {
  // Identifies the wait, if the gateway shows it.
  const [wait] = (run as { readonly waiting?: readonly { readonly nonce?: string }[] }).waiting ?? [];
  const body = JSON.stringify(wait?.nonce === undefined ? {} : { nonce: wait.nonce });
  const decide = async (approved: boolean): Promise<boolean[]> => {
    const url = `${base}/v1/runs/${encodeURIComponent(run.id)}/${approved ? 'approve' : 'reject'}`;
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(url, { method: 'POST', headers, body }).catch(() => undefined);
    return answer?.status === TAKEN ? [approved] : [];
  };
  return (await Promise.all([decide(true), decide(false)])).flat();
}
