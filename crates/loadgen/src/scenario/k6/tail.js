
const WEIGHTS = REQUESTS.reduce((sum, request) => sum + request.weight, 0);

// What answers have brought, for each virtual user by itself.
const known = {};

export default function () {
  const iteration = exec.scenario.iterationInTest;
  const user = exec.vu.idInTest - 1;
  // Users come spread over one time of thinking, not in step.
  if (USERS > 0 && exec.vu.iterationInScenario === 0) {
    sleep((THINK_S * user) / USERS);
  }
  // Who comes again is the same client; whom a clock sends may be anybody.
  const anybody = USERS > 0 ? user % CLIENTS : uniform(0, CLIENTS - 1);
  const client = Math.random() < FLOOD_SHARE ? 0 : anybody;
  const request = choose();
  const tags = { class: request.class, name: request.name };
  const url = TARGET + request.path(iteration, client);
  const response = http.request(request.method, url, request.body(iteration, client), {
    headers: request.headers(iteration, client),
    timeout: TIMEOUT,
    redirects: 0,
    tags,
  });
  const contains = request.contains === null || String(response.body).includes(request.contains);
  const isRight = request.isRight(response.status) && contains;
  if (isRight) {
    latency.add(response.timings.duration, tags);
    request.captures.forEach(([name, pointer]) => capture(name, pointer, response));
  }
  good.add(isRight && response.timings.duration <= request.latencyMax, tags);
  if (USERS > 0) {
    // Half as long to one and a half times as long: people are no metronomes.
    sleep(THINK_S * (0.5 + Math.random()));
  }
}

function choose() {
  let left = Math.random() * WEIGHTS;
  return REQUESTS.find((request) => (left -= request.weight) < 0) || REQUESTS[0];
}

function uniform(from, to) {
  return from + Math.floor(Math.random() * (to - from + 1));
}

// The continuous law, rounded down: near enough, and needs no table.
function zipf(count, exponent) {
  const u = Math.random();
  const power = 1 - exponent;
  const x =
    Math.abs(power) < 1e-9
      ? Math.pow(count + 1, u)
      : Math.pow(1 + u * (Math.pow(count + 1, power) - 1), 1 / power);
  return Math.min(count, Math.max(1, Math.floor(x)));
}

function pick(values) {
  return values[uniform(0, values.length - 1)];
}

function captured(name, otherwise) {
  return name in known ? known[name] : otherwise;
}

function capture(name, pointer, response) {
  let value;
  try {
    value = JSON.parse(response.body);
  } catch {
    return;
  }
  for (const part of pointer.split('/').slice(1)) {
    value = value?.[part.replaceAll('~1', '/').replaceAll('~0', '~')];
  }
  if (value !== undefined && value !== null) {
    known[name] = value;
  }
}
