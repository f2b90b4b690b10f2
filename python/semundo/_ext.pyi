# SPDX-License-Identifier: Apache-2.0
library_version: str
