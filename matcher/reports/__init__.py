"""The programme's reports, for print, for spreadsheets and for programs (docs/reference/reports.md)."""
