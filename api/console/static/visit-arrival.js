// At the door: where a visit began, by the device's own location or typed in, once.
import { byId, here, keep, say, send } from "./visit-device.js";
import { isArrived, newKey, now } from "./visit-draft.js";

export function showArrival(draft) {
  const arrived = isArrived(draft);
  byId("arrive").hidden = arrived;
  byId("not-met").hidden = !["ASSIGNED", "STARTED"].includes(draft.state);
  const { place } = draft;
  byId("arrived").textContent = !arrived ? say("not-arrived") : !place ? say("arrived-there") : say("arrived", {
    place: `${place.latitude.toFixed(5)}, ${place.longitude.toFixed(5)}`, n: Math.round(place.accuracy_m), time: new Date(draft.started_at).toLocaleString("zh-CN"),
  });
}

function arrive(latitude, longitude, accuracy_m) {
  const { draft } = here.open;
  if (isArrived(draft)) return; // a second tap
  draft.place = { latitude, longitude, accuracy_m };
  draft.started_at = now();
  draft.start = { key: newKey(), sent: false };
  draft.problem = null;
  here.changed();
  showArrival(draft);
  keep(draft).then(send);
}

export function locate(found, failed) {
  navigator.geolocation.getCurrentPosition(found, failed, { enableHighAccuracy: true, timeout: 20000, maximumAge: 0 });
}

byId("locate").addEventListener("click", () => {
  byId("arrived").textContent = say("locating");
  locate(
    ({ coords }) => arrive(coords.latitude, coords.longitude, Math.min(coords.accuracy, 100000)),
    () => { byId("arrived").textContent = say("no-location"); byId("by-hand").open = true; },
  );
});
byId("place-by-hand").addEventListener("click", () => {
  const [latitude, longitude] = ["latitude", "longitude"].map((name) => Number(byId(name).value.trim() || NaN));
  const right = Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180;
  byId("place-fault").textContent = right ? "" : say("bad-place");
  if (right) arrive(latitude, longitude, 1000);
});
