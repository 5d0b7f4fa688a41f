/**
 * Task queue of the stages that are placed on one device. It carries the deployment's own queue in its name, so that two
 * deployments in one namespace stay apart.
 */
export const deviceQueue = (taskQueue: string, device: string): string => `${taskQueue}.device.${device}`;
