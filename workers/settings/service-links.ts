type Environment = Readonly<Record<string, string | undefined>>;

/** The address that stands in a variable named like that of a port. */
const ADDRESS = /^(?:tcp|udp|sctp):\/\//;

/**
 * The environment without the variables that Kubernetes and Docker add for each service of a namespace. A service called
 * `millrace-gateway` has `MILLRACE_GATEWAY_PORT=tcp://10.0.0.11:7400`, which is no port, and beside it names that are no settings,
 * such as `MILLRACE_GATEWAY_SERVICE_HOST`.
 */
export function withoutServiceLinks(env: Environment): Environment {
  const services = Object.entries(env).flatMap(([name, value]) => {
    if (name.endsWith('_SERVICE_HOST')) return [name.slice(0, -'SERVICE_HOST'.length)];
    return name.endsWith('_PORT') && ADDRESS.test(value ?? '') ? [name.slice(0, -'PORT'.length)] : [];
  });
  if (services.length === 0) return env;
  const isLink = (name: string) =>
    services.some(
      (service) =>
        name.startsWith(service) &&
        // A port that somebody has set stands in the place of the link's.
        !(name === `${service}PORT` && !ADDRESS.test(env[name] ?? '')) &&
        /^(?:PORT|PORT_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?|SERVICE_(?:HOST|PORT)(?:_\w+)?)$/.test(name.slice(service.length)),
    );
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isLink(name)));
}
