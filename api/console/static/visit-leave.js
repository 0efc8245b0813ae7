// On every page of an account that makes visits: signing out takes the device's copies along, but never unsent work.
import { countUnsent, presentAccount, wipe } from "./visit-store.js";

for (const form of document.querySelectorAll('form[action="/sign-out"]')) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const account = await presentAccount();
      if (account && (await countUnsent(account))) {
        window.location.assign("/visits/tablet#leaving");
        return;
      }
      if (account) await wipe(account);
    } catch {
      // a browser that keeps nothing has nothing to take along
    }
    form.submit();
  });
}
