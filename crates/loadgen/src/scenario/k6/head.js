// Made by `tenfold load export-k6`. Run it with: k6 run FILE
//
// Not as in tenfold: k6 counts latency from the moment of sending, so that requests which were
// late do not show it, and drops what no virtual user is free for (see dropped_iterations).
import http from 'k6/http';
import exec from 'k6/execution';
import { Rate, Trend } from 'k6/metrics';
import { sleep } from 'k6';

const good = new Rate('good');
const latency = new Trend('latency', true);

