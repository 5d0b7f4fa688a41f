import type { WorkflowExecutionStatusName } from '@temporalio/client';

/** Whether an execution has not ended: one that an operator has paused goes on later. */
export const isUnderWay = (status: WorkflowExecutionStatusName): boolean => status === 'RUNNING' || status === 'PAUSED';

/** Whether a run has not ended: it may go on in another execution. */
export const isOpen = (status: WorkflowExecutionStatusName): boolean =>
  isUnderWay(status) || status === 'CONTINUED_AS_NEW';
